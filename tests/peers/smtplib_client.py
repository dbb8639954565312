"""A mail client that is not ours: Python's smtplib, sending one mail to each recipient.

Usage: python smtplib_client.py PORT plain|starttls|implicit AUTHORITIES USER SENDER TEXT RECIPIENT...

USER is `name:password`, or empty for none. Prints a line a log-in and a recipient: the recipient or
`login`, the code that decided, and the server's words.
"""

import smtplib
import ssl
import sys


def main(port, mode, authorities, user, sender, text, recipients):
    tls = ssl.create_default_context(cafile=authorities) if mode != "plain" else None
    options = {"host": "localhost", "port": int(port), "local_hostname": "client.example", "timeout": 20}
    client = smtplib.SMTP_SSL(context=tls, **options) if mode == "implicit" else smtplib.SMTP(**options)
    if mode == "starttls":
        client.starttls(context=tls)
    client.ehlo_or_helo_if_needed()
    if user:
        try:
            tell("login", *client.login(*user.split(":")))
        except smtplib.SMTPAuthenticationError as refused:
            tell("login", refused.smtp_code, refused.smtp_error)
    for recipient in recipients:
        client.mail(sender)
        answer = client.rcpt(recipient)
        if answer[0] == 250:
            answer = client.data(f"To: {recipient}\r\nSubject: a try\r\n\r\n{text}\r\n")
        tell(recipient, *answer)
        client.rset()
    client.quit()


def tell(whom, code, words):
    print(whom, code, words.decode().replace("\n", " "))


if __name__ == "__main__":
    main(*sys.argv[1:7], sys.argv[7:])
