//! Postfix as a company's submission server: STARTTLS, log-in judged by Dovecot, delivery to Maildirs.

use forthwith::sink::Certificates;

use super::confined::{Confined, Furnishing, MailServer};

/// A private Postfix.
pub struct Postfix(Confined);

/// How it is set up.
#[derive(Default)]
pub struct PostfixPlan {
    /// What it shows; with it STARTTLS is demanded, without it there is none.
    pub certificates: Option<Certificates>,
    /// The one user and password, demanded of everyone.
    pub user: Option<(&'static str, &'static str)>,
    /// Whose mail it takes; everybody else at their domains is refused at RCPT.
    pub known: Vec<String>,
    /// Whose mail it takes too, to bounce it after that.
    pub failing: Vec<String>,
    /// A domain whose every address is ours: what it bounces goes to a Maildir of its own.
    pub bounces: &'static str,
}

impl Postfix {
    pub fn start(plan: &PostfixPlan) -> Self {
        let has_auth = if plan.user.is_some() { "yes" } else { "no" };
        let (tls, chain) = match plan.certificates {
            Some(_) => ("encrypt", "/srv/key.pem, /srv/chain.pem"),
            None => ("none", ""),
        };
        let admitted = match plan.user {
            Some(_) => "permit_sasl_authenticated, reject",
            None => "reject_unauth_destination",
        };
        let users = plan.user.map(|(user, password)| format!("{user}:{password}\n"));
        let mut files = vec![
            ("known", plan.mailboxes()),
            ("failing", table(&plan.failing, "failing:")),
            ("users", users.unwrap_or_default()),
        ];
        if let Some(made) = &plan.certificates {
            files.push(("chain.pem", made.chain_pem.clone()));
            files.push(("key.pem", made.key_pem.clone()));
        }
        Self(Confined::start(&Furnishing {
            server: "postfix",
            values: &[
                ("DOMAINS", &plan.domains()),
                ("TLS", tls),
                ("CHAIN", chain),
                ("AUTH", has_auth),
                ("ADMITTED", admitted),
            ],
            files: &files,
            ready: plan.user.map(|_| "spool/postfix/private/auth"),
        }))
    }

    /// The bounces it wrote, once so many are there.
    pub fn bounces(&self, count: usize) -> Vec<Vec<u8>> {
        self.0.maildir("bounces", count)
    }
}

impl MailServer for Postfix {
    const LOG: &'static str = "mail.log";
    const CONNECTED: &'static str = "]: connect from ";

    fn confined(&self) -> &Confined {
        &self.0
    }
}

impl PostfixPlan {
    /// The lookup table of those it takes mail for, and where it goes.
    fn mailboxes(&self) -> String {
        let ours = [format!("@{}", self.bounces)];
        table(&self.known, "mails/") + &table(&self.failing, "mails/") + &table(&ours, "bounces/")
    }

    fn domains(&self) -> String {
        let known = self.known.iter().chain(&self.failing);
        let mut domains: Vec<&str> = known.map(|one| one.split_once('@').unwrap().1).collect();
        domains.push(self.bounces);
        domains.sort_unstable();
        domains.dedup();
        domains.join(", ")
    }
}

/// A lookup table that says the same of each address.
fn table(addresses: &[String], value: &str) -> String {
    addresses.iter().fold(String::new(), |table, one| table + one + " " + value + "\n")
}
