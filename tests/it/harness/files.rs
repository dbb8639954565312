//! What operators write: a campaign, an incident, a provider table. The tests and `scripts/crash` share it.

/// A campaign file on the shop's export, with further top-level keys.
pub fn campaign_file(more: &str) -> String {
    format!(
        r#"
incident = "cold-night"
environment = "rehearsal"
{more}

[audience.csv]
path = "affected.csv"
columns = {{ account = "customer_id", address = "email", name = "name" }}

[directory]
name = "shop"

[directory.sql]
url = "sqlite:shop.db"

[directory.sql.password]
read = """SELECT c.id AS account, c.password_hash AS current FROM json_each(:rows) AS r
JOIN customer AS c ON c.id = r.value ->> 'account'"""
expire = """UPDATE customer SET password_hash = r.value ->> 'replacement' FROM json_each(:rows) AS r
WHERE customer.id = r.value ->> 'account' AND customer.password_hash = r.value ->> 'current'"""

[directory.sql.sessions]
count = """SELECT r.value ->> 'account' AS account, count(s.id) AS sessions FROM json_each(:rows) AS r
LEFT JOIN session AS s ON s.customer_id = r.value ->> 'account' GROUP BY 1"""
end = """DELETE FROM session WHERE customer_id IN
(SELECT r.value ->> 'account' FROM json_each(:rows) AS r)"""

[notice]
template = "account-breach"
from = {{ name = "Northwind Outfitters", address = "security@northwind.example" }}

[pace]
per_second = 2000

[retry]
schedule = ["1s"]
max_age = "1h"
jitter = 0.0
"#
    )
}

/// What happened.
pub const INCIDENT: &str = r#"
title = "Unauthorised access to customer accounts"
summary = "Someone without permission reached a server that holds customer account details."
discovered_at = "2012-01-15T18:00[America/Los_Angeles]"
not_exposed = ["full payment card number"]
actions_taken = ["We closed the way they came in."]

[window]
from = "2012-01-14T02:00[America/Los_Angeles]"
until = "2012-01-15T18:00[America/Los_Angeles]"

[brand]
name = "Northwind Outfitters"
site = "https://www.northwind.example"
support_email = "help@northwind.example"

[exposed]
data = ["name", "email address"]
credentials = ["password"]
"#;

/// Providers without a pace of their own.
pub const PROVIDERS: &str = "[provider.other]\nconnections = 100\nmessages_per_connection = 1000\n";
