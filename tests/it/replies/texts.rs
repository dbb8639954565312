//! Replies as servers send them, each with what it has to be read as. Sources: the research on
//! providers' replies, the providers' own pages, and the sources and manuals of the common servers;
//! names, addresses and ids are invented.

/// One reply as a server sends it, with what it has to be read as.
pub struct Told {
    /// Provider of the recipient, as lanes name it.
    pub provider: &'static str,
    /// A domain of that provider.
    pub domain: &'static str,
    /// The step it answers.
    pub phase: &'static str,
    /// The bytes but for the last line's end.
    pub reply: &'static str,
    /// Its class.
    pub class: &'static str,
    /// What stands in the action; empty = nothing but the default of its result.
    pub does: &'static str,
}

const fn told(
    provider: &'static str,
    phase: &'static str,
    class: &'static str,
    does: &'static str,
    reply: &'static str,
) -> Told {
    let domain = match provider.as_bytes() {
        b"gmail" => "gmail.com",
        b"yahoo" => "yahoo.com",
        b"outlook" => "outlook.com",
        b"apple" => "icloud.com",
        b"comcast" => "comcast.net",
        _ => "company.example",
    };
    Told { provider, domain, phase, reply, class, does }
}

/// All of them.
pub const REPLIES: &[Told] = &[
    // ------------------------------------------------------------ Google
    told(
        "gmail",
        "dot",
        "rate",
        "after 2 within 1h: 10 a minute for 30m",
        "421-4.7.28 [192.0.2.25      15] Our system has detected an unusual rate of\r\n\
         421-4.7.28 unsolicited mail originating from your IP address. To protect our\r\n\
         421-4.7.28 users from spam, mail sent from your IP address has been temporarily\r\n\
         421-4.7.28 rate limited. Please visit\r\n\
         421 4.7.28  https://support.google.com/mail/?p=UnsolicitedRateLimitError a1-20si12 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "policy",
        "after 5 within 1h: the provider is suspended for 1h",
        "421-4.7.0 [192.0.2.25      15] Our system has detected that this message is\r\n\
         421-4.7.0 suspicious due to the very low reputation of the sending domain. To best\r\n\
         421-4.7.0 protect our users from spam, the message has been blocked. Please visit\r\n\
         421 4.7.0  https://support.google.com/mail/answer/188131 for more information. b2 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "policy",
        "after 5 within 1h: the provider is suspended for 1h",
        "421-4.7.0 [192.0.2.25] Our system has detected that this message is suspicious due\r\n\
         421 4.7.0 to the nature of the content and/or the links within. c3 - gsmtp",
    ),
    told(
        "gmail",
        "mail",
        "temporary",
        "after 5 within 1h: 60 a minute for 15m",
        "421 4.7.0 Try again later, closing connection. (MAIL) d4-20020a05si99 - gsmtp",
    ),
    told(
        "gmail",
        "mail",
        "authentication",
        "the campaign pauses",
        "421 4.7.0 TLS required for RCPT domain, closing connection e5 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "421-4.7.0 This message does not have authentication information or fails to pass\r\n\
         421-4.7.0 authentication checks. To best protect our users from spam, the message\r\n\
         421 4.7.0 has been blocked. f6 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "421-4.7.26 This mail has been rate limited because it is unauthenticated. Gmail\r\n\
         421-4.7.26 requires all senders to authenticate with either SPF or DKIM.\r\n\
         421 4.7.26  Authentication results: DKIM = did not pass, SPF did not pass g7 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "mailbox-busy",
        "",
        "450-4.2.1 The user you are trying to contact is receiving mail too quickly.\r\n\
         450-4.2.1 Please resend your message at a later time. If the user is able to\r\n\
         450-4.2.1 receive mail at that time, your message will be delivered. For more\r\n\
         450 4.2.1 information, go to https://support.google.com/mail/?p=ReceivingRate h8 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "mailbox-busy",
        "",
        "550-5.2.1 The user you are trying to contact is receiving mail at a rate that\r\n\
         550-5.2.1 prevents additional messages from being delivered. For more information\r\n\
         550 5.2.1 go to https://support.google.com/mail/?p=ReceivingRatePerm h9 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "mailbox-full",
        "",
        "452-4.2.2 The recipient's inbox is out of storage space and inactive. Please\r\n\
         452-4.2.2 direct the recipient to\r\n\
         452 4.2.2  https://support.google.com/mail/?p=OverQuotaTemp i10 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "mailbox-full",
        "",
        "552-5.2.2 The recipient's inbox is out of storage space and inactive. Please\r\n\
         552 5.2.2 see https://support.google.com/mail/?p=OverQuotaPerm i11 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "temporary",
        "",
        "452-4.5.3 Your message has too many recipients. For more information regarding\r\n\
         452-4.5.3 Google's sending limits, visit\r\n\
         452 4.5.3  https://support.google.com/mail/answer/6592 j12 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "address-dead",
        "",
        "550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n\
         550-5.1.1 double-checking the recipient's email address for typos or\r\n\
         550-5.1.1 unnecessary spaces. Learn more at\r\n\
         550 5.1.1  https://support.google.com/mail/?p=NoSuchUser k13 - gsmtp",
    ),
    told(
        "gmail",
        "rcpt",
        "mailbox-off",
        "",
        "550-5.2.1 The email account that you tried to reach is inactive. Learn more at\r\n\
         550 5.2.1 https://support.google.com/mail/?p=DisabledUser l14 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\r\n\
         550-5.7.26 Gmail requires all senders to authenticate with either SPF or DKIM.\r\n\
         550-5.7.26  Authentication results: DKIM = did not pass SPF [brand.example] with\r\n\
         550 5.7.26  ip: [192.0.2.25] = did not pass m15 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "policy",
        "",
        "550-5.7.1 [192.0.2.25      12] Our system has detected that this message is likely\r\n\
         550-5.7.1 unsolicited mail. To reduce the amount of spam sent to Gmail, this message\r\n\
         550 5.7.1 has been blocked. n16 - gsmtp",
    ),
    told(
        "gmail",
        "dot",
        "policy",
        "",
        "550-5.7.28 [192.0.2.25      18] Our system has detected an unusual rate of\r\n\
         550-5.7.28 unsolicited mail originating from your IP address. To protect our users\r\n\
         550 5.7.28 from spam, mail sent from your IP address has been blocked. o17 - gsmtp",
    ),
    // ------------------------------------------------------------ Yahoo
    told(
        "yahoo",
        "mail",
        "policy",
        "the provider is suspended for 2h",
        "421 4.7.0 [TSS04] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or \
         user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "mail",
        "policy",
        "the provider is suspended for 4h",
        "421 4.7.0 [TSS05] Messages from 192.0.2.25 temporarily deferred due to unexpected volume or \
         user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "greeting",
        "policy",
        "the provider is suspended for 4h",
        "421 4.7.0 [IPTS05] Messages from 192.0.2.25 temporarily deferred; see \
         https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "mail",
        "rate",
        "1 a minute for 90m",
        "421 4.7.0 [TS01] Messages from 192.0.2.25 temporarily deferred due to user complaints - \
         4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "mail",
        "rate",
        "1 a minute for 30m",
        "421 4.7.0 [TS02] Messages from 192.0.2.25 temporarily deferred due to user complaints - \
         4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "mail",
        "rate",
        "10 a minute for 30m",
        "421 4.7.1 [TS03] All messages from 192.0.2.25 will be permanently deferred; Retrying will \
         NOT succeed. See https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "greeting",
        "policy",
        "the provider is suspended for 2h",
        "553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.25, because the ip is in \
         Spamhaus's list; see https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "rcpt",
        "policy",
        "the provider is suspended for 2h",
        "553 5.7.1 [BL23] Connections not accepted from IP addresses on Spamhaus XBL; see \
         https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "dot",
        "temporary",
        "the person waits 4h",
        "451 4.3.9 Message temporarily deferred - see https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "dot",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "554 5.7.9 Message not accepted for policy reasons. See \
         https://postmaster.yahooinc.com/error-codes",
    ),
    told(
        "yahoo",
        "rcpt",
        "address-dead",
        "",
        "550 5.1.1 <ann@yahoo.com>: Recipient address rejected: User unknown in virtual mailbox table",
    ),
    told(
        "yahoo",
        "dot",
        "mailbox-off",
        "",
        "554 delivery error: dd This user doesn't have a yahoo.com account (ann@yahoo.com) [0] - \
         mta4001.mail.ne1.yahoo.com",
    ),
    // ------------------------------------------------------------ Outlook.com, Exchange Online
    told(
        "outlook",
        "mail",
        "rate",
        "after 3 within 1h: the provider is suspended for 30m",
        "451 4.7.650 The mail server [192.0.2.25] has been temporarily rate limited due to IP \
         reputation. For e-mail delivery information, see https://aka.ms/postmaster (S775) \
         [DB5EUR01FT012.eop-EUR01.prod.protection.outlook.com]",
    ),
    told(
        "outlook",
        "mail",
        "rate",
        "after 3 within 1h: the provider is suspended for 30m",
        "451 4.7.651 The mail server [192.0.2.25] has been temporarily rate limited due to IP \
         reputation. For e-mail delivery information, see https://aka.ms/postmaster (S3114)",
    ),
    told(
        "outlook",
        "mail",
        "rate",
        "after 3 within 1h: the provider is suspended for 30m",
        "421 The mail server has been temporarily rate limited due to IP reputation (S3114)",
    ),
    told(
        "outlook",
        "greeting",
        "rate",
        "1 a minute for 90m",
        "421 RP-001 The mail server IP connecting to Outlook.com server has exceeded the rate limit \
         allowed. Reason for rate limitation is related to IP/domain reputation.",
    ),
    told(
        "outlook",
        "greeting",
        "rate",
        "1 a minute for 90m",
        "421 RP-002 The mail server IP connecting to Outlook.com server has exceeded the rate limit \
         allowed on this connection.",
    ),
    told(
        "outlook",
        "greeting",
        "rate",
        "1 a minute for 90m",
        "421 RP-003 The mail server IP connecting to Outlook.com server has exceeded the connection \
         limit allowed.",
    ),
    told(
        "outlook",
        "mail",
        "policy",
        "the provider is suspended for 2h",
        "550 5.7.1 Unfortunately, messages from [192.0.2.25] weren't sent. Please contact your \
         Internet service provider since part of their network is on our block list (S3150). You can \
         also refer your provider to http://mail.live.com/mail/troubleshooting.aspx#errors.",
    ),
    told(
        "outlook",
        "rcpt",
        "policy",
        "the provider is suspended for 2h",
        "550 5.7.1 Unfortunately, messages from [192.0.2.25] weren't sent. Please contact your \
         Internet service provider since part of their network is on our block list (S3150).",
    ),
    told(
        "outlook",
        "rcpt",
        "capacity",
        "the provider is suspended for 30m",
        "451 4.7.500 Server busy. Please try again later from [192.0.2.25]. (S77719) \
         [VI1EUR04FT036.eop-eur04.prod.protection.outlook.com]",
    ),
    told(
        "outlook",
        "mail",
        "capacity",
        "the provider is suspended for 30m",
        "451 4.7.700 PFA agent busy, please try again. \
         [AM7EUR03FT058.eop-EUR03.prod.protection.outlook.com]",
    ),
    told(
        "outlook",
        "mail",
        "capacity",
        "1 a minute for 15m",
        "421 4.3.2 The maximum number of messages per connection has been exceeded, closing \
         transmission channel; IB007",
    ),
    told(
        "outlook",
        "dot",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "550 5.7.515 Access denied, sending domain BRAND.EXAMPLE does not meet the required \
         authentication level. The sender's domain in the 5322.From address doesn't meet the \
         authentication requirements defined for the sender. Spf= Fail , Dkim= Fail , DMARC= Fail",
    ),
    told(
        "outlook",
        "rcpt",
        "mailbox-off",
        "",
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
    ),
    told(
        "other",
        "rcpt",
        "address-dead",
        "",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    ),
    told(
        "other",
        "rcpt",
        "mailbox-off",
        "",
        "550 5.4.1 Recipient address rejected: Access denied. For more information see \
         https://aka.ms/EXOSmtpErrors [DB8EUR05FT015.eop-eur05.prod.protection.outlook.com]",
    ),
    told(
        "other",
        "rcpt",
        "policy",
        "",
        "550 5.7.606 Access denied, banned sending IP [192.0.2.25]. To request removal from this \
         list please visit https://sender.office.com/",
    ),
    told(
        "other",
        "rcpt",
        "relay-auth",
        "the campaign pauses",
        "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    ),
    told(
        "other",
        "mail",
        "relay-auth",
        "the campaign pauses",
        "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM",
    ),
    told(
        "other",
        "dot",
        "sender",
        "the campaign pauses",
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    ),
    told(
        "other",
        "dot",
        "rate",
        "",
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
    ),
    told("other", "mail", "capacity", "", "452 4.3.1 Insufficient system resources"),
    // ------------------------------------------------------------ Apple, Comcast
    told(
        "apple",
        "dot",
        "temporary",
        "the provider is suspended for 15m",
        "450 4.2.0 [HCM1] Message deferred; see https://support.apple.com/en-us/HT204137",
    ),
    told(
        "apple",
        "dot",
        "temporary",
        "the provider is suspended for 15m",
        "451 4.7.1 [BS02] Message deferred, please try again later",
    ),
    told(
        "comcast",
        "mail",
        "rate",
        "60 a minute for 2h",
        "421 4.1.0 192.0.2.25 Throttled - try again later. Please see \
         http://postmaster.comcast.net/smtp-error-codes.php#RL000001",
    ),
    told(
        "comcast",
        "mail",
        "rate",
        "the provider is suspended for 5m",
        "421 4.1.0 192.0.2.25 Throttled - try again later. Please see \
         http://postmaster.comcast.net/smtp-error-codes.php#RL000010",
    ),
    // ------------------------------------------------------------ greylisting
    told(
        "other",
        "rcpt",
        "greylisted",
        "the person waits 10m",
        "450 4.2.0 <ann@company.example>: Recipient address rejected: Greylisted, see \
         http://postgrey.schweikert.ch/help/company.example.html",
    ),
    told(
        "other",
        "rcpt",
        "greylisted",
        "the person waits 10m",
        "451 4.7.1 Greylisting in action, please come back in 00:04:59",
    ),
    told("other", "rcpt", "greylisted", "the person waits 10m", "451 4.7.1 Please try again later"),
    told(
        "other",
        "dot",
        "greylisted",
        "the person waits 10m",
        "451 4.7.1 Try again later (TEMPGREY)",
    ),
    // ------------------------------------------------------------ mailboxes and domains, anywhere
    told("other", "rcpt", "mailbox-full", "", "552 5.2.2 Mailbox full"),
    told("other", "rcpt", "mailbox-full", "", "452 4.2.2 Mailbox full"),
    told(
        "other",
        "dot",
        "mailbox-full",
        "",
        "552 5.2.2 <ann@company.example> Quota exceeded (mailbox for user is full)",
    ),
    told(
        "other",
        "rcpt",
        "address-dead",
        "",
        "556 5.1.10 <ann@company.example>: Recipient address rejected: Domain company.example does \
         not accept mail (nullMX)",
    ),
    told("other", "rcpt", "mailbox-off", "", "556 Domain does not accept mail"),
    told(
        "other",
        "rcpt",
        "mailbox-off",
        "",
        "550 5.4.310 DNS domain company.example does not exist",
    ),
    // ------------------------------------------------------------ Postfix
    told(
        "other",
        "rcpt",
        "relay-auth",
        "the campaign pauses",
        "554 5.7.1 <ann@company.example>: Relay access denied",
    ),
    told(
        "other",
        "rcpt",
        "relay-auth",
        "the campaign pauses",
        "454 4.7.1 <ann@company.example>: Relay access denied",
    ),
    told(
        "other",
        "rcpt",
        "address-dead",
        "",
        "550 5.1.1 <ann@company.example>: Recipient address rejected: User unknown in local recipient \
         table",
    ),
    told(
        "other",
        "rcpt",
        "temporary",
        "",
        "450 4.1.1 <ann@company.example>: Recipient address rejected: unverified address: Address \
         verification in progress",
    ),
    told(
        "other",
        "rcpt",
        "sender",
        "the campaign pauses",
        "550 5.1.0 <notice@brand.example>: Sender address rejected: User unknown in virtual mailbox \
         table",
    ),
    told(
        "other",
        "rcpt",
        "sender",
        "the campaign pauses",
        "450 4.1.8 <notice@brand.example>: Sender address rejected: Domain not found",
    ),
    told(
        "other",
        "rcpt",
        "sender",
        "the campaign pauses",
        "553 5.7.1 <notice@brand.example>: Sender address rejected: not owned by user ann",
    ),
    told(
        "other",
        "rcpt",
        "relay-auth",
        "the campaign pauses",
        "553 5.7.1 <notice@brand.example>: Sender address rejected: not logged in",
    ),
    told("other", "mail", "capacity", "", "452 4.3.1 Insufficient system storage"),
    told(
        "other",
        "greeting",
        "capacity",
        "",
        "421 4.7.0 mx.company.example Error: too many connections from 192.0.2.25",
    ),
    told("other", "mail", "rate", "", "450 4.7.1 Error: too much mail from 192.0.2.25"),
    told(
        "other",
        "rcpt",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "450 4.7.1 <localhost>: Helo command rejected: Host not found",
    ),
    told(
        "other",
        "rcpt",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.25]",
    ),
    told(
        "other",
        "rcpt",
        "authentication",
        "after 3 within 1h: the campaign pauses",
        "550 5.7.25 Client host rejected: cannot find your hostname, [192.0.2.25]",
    ),
    told(
        "other",
        "rcpt",
        "policy",
        "",
        "554 5.7.1 Service unavailable; Client host [192.0.2.25] blocked using zen.spamhaus.org; \
         https://www.spamhaus.org/query/ip/192.0.2.25",
    ),
    told(
        "other",
        "rcpt",
        "policy",
        "",
        "554 5.7.1 <unknown[192.0.2.25]>: Client host rejected: Access denied",
    ),
    told(
        "other",
        "mail",
        "authentication",
        "the campaign pauses",
        "530 5.7.0 Must issue a STARTTLS command first",
    ),
    told("other", "mail", "relay-auth", "the campaign pauses", "530 5.7.0 Authentication required"),
    told(
        "other",
        "auth",
        "relay-auth",
        "the campaign pauses",
        "535 5.7.8 Error: authentication failed: authentication failure",
    ),
    told(
        "other",
        "auth",
        "temporary",
        "",
        "454 4.7.0 Temporary authentication failure: Connection lost to authentication server",
    ),
    told("other", "mail", "size", "", "552 5.3.4 Message size exceeds fixed limit"),
    told("other", "dot", "content", "", "550 5.7.1 Message content rejected"),
    told("other", "dot", "content", "", "554 5.7.1 Spam message rejected"),
    told("other", "dot", "permanent", "", "554 Transaction failed"),
    told("other", "rcpt", "protocol", "", "555 5.5.4 Unsupported option: ORCPT=rfc822"),
    // ------------------------------------------------------------ Exim
    told("other", "rcpt", "relay-auth", "the campaign pauses", "550 relay not permitted"),
    told("other", "rcpt", "sender", "the campaign pauses", "550 Sender verify failed"),
    told(
        "other",
        "rcpt",
        "sender",
        "the campaign pauses",
        "550-Callback setup failed while verifying <notice@brand.example>\r\n\
         550-The initial connection, or a HELO or MAIL FROM:<> command was\r\n\
         550-rejected. Refusing MAIL FROM:<> does not help fight spam.\r\n\
         550 Sender verify failed",
    ),
    told("other", "rcpt", "address-dead", "", "550 Unrouteable address"),
    told("other", "rcpt", "address-dead", "", "550 No such user here"),
    told("other", "rcpt", "policy", "", "550 Administrative prohibition"),
    told("other", "rcpt", "temporary", "", "451 Temporary local problem - please try later"),
    told(
        "other",
        "greeting",
        "capacity",
        "",
        "421 mx.company.example: Too many concurrent SMTP connections; please try again later.",
    ),
    told("other", "mail", "size", "", "552 Message size exceeds maximum permitted"),
    told(
        "other",
        "dot",
        "content",
        "",
        "550 This message contains a virus (Eicar-Test-Signature).",
    ),
    // ------------------------------------------------------------ OpenSMTPD, Sendmail, qmail
    told("other", "rcpt", "address-dead", "", "550 Invalid recipient: <ann@company.example>"),
    told(
        "other",
        "mail",
        "relay-auth",
        "the campaign pauses",
        "530 5.5.1 Invalid command: Must issue an AUTH command first",
    ),
    told("other", "rcpt", "temporary", "", "421 4.3.0 Temporary Error"),
    told("other", "rcpt", "address-dead", "", "550 5.1.1 <ann@company.example>... User unknown"),
    told(
        "other",
        "rcpt",
        "relay-auth",
        "the campaign pauses",
        "550 5.7.1 <ann@company.example>... Relaying denied",
    ),
    told(
        "other",
        "mail",
        "sender",
        "the campaign pauses",
        "553 5.1.8 <notice@brand.example>... Domain of sender address notice@brand.example does not \
         exist",
    ),
    told("other", "mail", "capacity", "", "452 4.4.5 Insufficient disk space; try again later"),
    told("other", "greeting", "rate", "", "421 4.3.2 Connection rate limit exceeded."),
    told("other", "rcpt", "address-dead", "", "550 sorry, no mailbox here by that name (#5.1.1)"),
    told(
        "other",
        "rcpt",
        "relay-auth",
        "the campaign pauses",
        "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    ),
    told(
        "other",
        "dot",
        "size",
        "",
        "552 sorry, that message size exceeds my databytes limit (#5.3.4)",
    ),
    // ------------------------------------------------------------ sending services
    told(
        "other",
        "dot",
        "rate",
        "after 5 within 10m: 60 a minute for 15m",
        "454 Throttling failure: Maximum sending rate exceeded.",
    ),
    told(
        "other",
        "dot",
        "sender",
        "the campaign pauses",
        "554 Message rejected: Email address is not verified. The following identities failed the \
         check in region EU-WEST-1: notice@brand.example",
    ),
    told(
        "other",
        "auth",
        "relay-auth",
        "the campaign pauses",
        "535 Authentication Credentials Invalid",
    ),
    told(
        "other",
        "dot",
        "sender",
        "the campaign pauses",
        "550 The from address does not match a verified Sender Identity. Mail cannot be sent until \
         this error is resolved.",
    ),
];
