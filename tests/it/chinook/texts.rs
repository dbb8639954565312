//! What the shop's operators wrote, and what its customers read.

pub const INCIDENT: &str = r#"
title = "Foreign code on the payment page"
summary = """
Someone planted code of theirs on the payment page of our shop. It copied what was typed there, and
the details of the account that was signed in, to a server they control.

We have removed the code and rebuilt the page on servers they never reached."""
discovered_at = "2025-12-23T10:15[Europe/London]"
not_exposed = ["playlists"]
actions_taken = [
  "We told the card companies which payments to watch.",
  "We reported the incident to the data protection authority.",
]
advice = ["Ask your bank for a new card if you paid with one in that time."]

[window]
from = "2025-09-01T00:00[Europe/London]"
until = "2025-12-23T09:40[Europe/London]"

[brand]
name = "Quayside Records"
site = "https://www.quayside-records.example"
support_email = "help@quayside-records.example"
postal = "Quayside Records, 4 Wharf Lane, Leith, United Kingdom"

[exposed]
data = ["name", "postal address", "telephone number", "card number", "card security code"]
credentials = ["password"]

[locale.fr]
title = "Code étranger sur la page de paiement"
summary = "Quelqu’un a introduit son propre code sur la page de paiement de notre boutique."
exposed = ["nom", "adresse postale", "numéro de téléphone", "numéro de carte", "cryptogramme"]
not_exposed = ["listes de lecture"]
actions_taken = ["Nous avons averti les émetteurs de cartes.", "Nous avons averti l’autorité."]
advice = ["Demandez une nouvelle carte à votre banque si vous avez payé par carte."]

[locale.de]
title = "Fremder Code auf der Zahlungsseite"
summary = "Jemand hat eigenen Code auf der Zahlungsseite unseres Shops eingeschleust."
exposed = ["Name", "Postanschrift", "Telefonnummer", "Kartennummer", "Kartenprüfnummer"]
not_exposed = ["Wiedergabelisten"]
actions_taken = ["Wir haben die Kartenunternehmen informiert.", "Wir haben die Behörde informiert."]
advice = ["Bitten Sie Ihre Bank um eine neue Karte, wenn Sie mit Karte bezahlt haben."]

[locale.es]
title = "Código ajeno en la página de pago"
summary = "Alguien introdujo código propio en la página de pago de nuestra tienda."
exposed = ["nombre", "dirección postal", "teléfono", "número de tarjeta", "código de seguridad"]
not_exposed = ["listas de reproducción"]
actions_taken = ["Hemos avisado a las empresas de tarjetas.", "Hemos avisado a la autoridad."]
advice = ["Pida a su banco una tarjeta nueva si pagó con tarjeta."]

[locale.pt]
title = "Código estranho na página de pagamento"
summary = "Alguém introduziu código próprio na página de pagamento da nossa loja."
exposed = ["nome", "endereço postal", "telefone", "número do cartão", "código de segurança"]
not_exposed = ["listas de reprodução"]
actions_taken = ["As empresas de cartões foram avisadas.", "A autoridade foi avisada."]
advice = ["Peça um novo cartão ao seu banco se pagou com cartão."]
"#;

pub const CAMPAIGN_FILE: &str = r#"
incident = "payment-page"
environment = "rehearsal"

[audience.sql]
url = "sqlite:export.sqlite"
query = """{query}"""
columns = { account = "account", address = "email", name = "name", region = "region" }

[directory]
name = "shop"

[directory.sql]
url = "sqlite:directory.sqlite"

[directory.sql.password]
read = """SELECT r.value ->> 'account' AS account, c.password_hash AS current
FROM json_each(:rows) AS r JOIN credential AS c ON c.customer_id = CAST(r.value ->> 'account' AS INTEGER)"""
expire = """UPDATE credential SET password_hash = r.value ->> 'replacement' FROM json_each(:rows) AS r
WHERE credential.customer_id = CAST(r.value ->> 'account' AS INTEGER)
AND credential.password_hash = r.value ->> 'current'"""

[directory.sql.sessions]
count = """SELECT r.value ->> 'account' AS account, count(s.id) AS sessions FROM json_each(:rows) AS r
LEFT JOIN session AS s ON s.customer_id = CAST(r.value ->> 'account' AS INTEGER) GROUP BY 1"""
end = """DELETE FROM session WHERE customer_id IN
(SELECT CAST(r.value ->> 'account' AS INTEGER) FROM json_each(:rows) AS r)"""

[notice]
template = "account-breach"
from = { name = "Quayside Records", address = "security@quayside-records.example" }
reply_to = "help@quayside-records.example"
require_locales = ["fr", "de", "es", "pt"]

[notice.region_locales]
France = "fr"
Belgium = "fr"
"Canada/QC" = "fr"
Germany = "de"
Austria = "de"
Spain = "es"
Argentina = "es"
Portugal = "pt"
Brazil = "pt"
"#;

/// What the notice says in each language: its subject, the salutation before the name, and the sentence
/// about a password that is expired.
pub const SAID: [(&str, [&str; 4]); 5] = [
    (
        "en",
        [
            "Security notice about your Quayside Records account",
            "Dear ",
            "We have already expired your password with us.",
            "from 1 September 2025, 00:00 (BST, UTC+01:00)",
        ],
    ),
    (
        "fr",
        [
            "Avis de sécurité concernant votre compte Quayside Records",
            "Bonjour ",
            "Nous avons déjà invalidé votre mot de passe chez nous.",
            "du 1er septembre 2025 à 0 h 00 (UTC+01:00)",
        ],
    ),
    (
        "de",
        [
            "Sicherheitshinweis zu Ihrem Konto bei Quayside Records",
            "Guten Tag ",
            "Wir haben Ihr Passwort bei uns bereits ungültig gemacht.",
            "vom 1. September 2025, 00:00 Uhr (UTC+01:00)",
        ],
    ),
    (
        "es",
        [
            "Aviso de seguridad sobre su cuenta de Quayside Records",
            "Buenos días, ",
            "Ya hemos invalidado su contraseña en nuestro servicio.",
            "desde el 1 de septiembre de 2025, 0:00 (UTC+01:00)",
        ],
    ),
    (
        "pt",
        [
            "Aviso de segurança sobre a sua conta Quayside Records",
            "Olá, ",
            "A empresa já invalidou a sua senha.",
            "de 1 de setembro de 2025, 0h00 (UTC+01:00)",
        ],
    ),
];

/// Where those with an invoice in the window live.
pub const TOLD: [(&str, Option<&str>); 9] = [
    ("France", None),
    ("Belgium", None),
    ("Canada", Some("QC")),
    ("France", None),
    ("France", None),
    ("Spain", None),
    ("Argentina", None),
    ("Portugal", None),
    ("Brazil", Some("SP")),
];
/// Where the first of the others live.
pub const OTHERS: [(&str, Option<&str>); 6] = [
    ("Germany", None),
    ("Germany", None),
    ("Germany", None),
    ("Germany", None),
    ("Austria", None),
    ("Canada", Some("ON")),
];
