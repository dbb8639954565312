"""A mail server that is not ours: aiosmtpd on loopback, keeping what it takes in a Maildir.

Usage: python aiosmtpd_maildir.py FOLDER

Prints its port on the first line of stdout, and ends when its stdin ends. FOLDER gets `maildir`,
written by aiosmtpd's own handler, and `envelopes.log`: one line a mail, the envelope sender and its
recipients with tabs between, appended before the mail is answered.
"""

import asyncio
import sys
from pathlib import Path

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP


class Keeper(Mailbox):
    """aiosmtpd's Maildir handler, which also notes the envelopes."""

    def __init__(self, folder):
        super().__init__(folder / "maildir")
        self.log = folder / "envelopes.log"

    async def handle_DATA(self, server, session, envelope):
        answer = await super().handle_DATA(server, session, envelope)
        line = "\t".join([envelope.mail_from or "", *envelope.rcpt_tos])
        with self.log.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        return answer


async def main(folder):
    keeper = Keeper(folder)
    loop = asyncio.get_running_loop()
    # The host name is given, because aiosmtpd would ask the resolver for one.
    server = await loop.create_server(
        lambda: SMTP(keeper, hostname="peer.example", loop=loop), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
