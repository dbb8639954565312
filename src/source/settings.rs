//! The `[audience.*]` tables of a campaign file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CsvSource, Encoding, NdjsonSource, Source, SourceError, SqlSource};
use crate::database::DatabaseSettings;
use crate::domain::database::DatabaseTls;
use crate::domain::field::FieldType;

/// A file or a query that an audience comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceSettings {
    /// `[audience.csv]`
    Csv(CsvSettings),
    /// `[audience.ndjson]`
    Ndjson(NdjsonSettings),
    /// `[audience.sql]`
    Sql(SqlSettings),
}

/// A CSV file with a header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSettings {
    /// The file; a relative path starts at the workspace.
    pub path: PathBuf,
    /// What stands between two values: what a first line `sep=;` says, else `,`, if not given.
    pub delimiter: Option<char>,
    /// How it is written; UTF-8 if not given.
    #[serde(default)]
    pub encoding: Encoding,
    /// Which columns hold what.
    pub columns: Columns,
}

/// A file with one JSON object a line, in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NdjsonSettings {
    /// The file; a relative path starts at the workspace.
    pub path: PathBuf,
    /// Which keys hold what; a nested one is named `contact.email`.
    pub columns: Columns,
}

/// One SELECT over a database, which is opened for reading only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SqlSettings {
    /// `sqlite:shop.db`, a relative path starts at the workspace; `postgres://host:5432/name`;
    /// `mariadb://host:3306/name`. Never with a user or password.
    pub url: String,
    /// The user that a server knows us by; it needs to read only.
    #[serde(default)]
    pub user: Option<String>,
    /// A file that only its owner may use, with that user's password in its first line.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// How a connection to a server is secured.
    #[serde(default)]
    pub tls: DatabaseTls,
    /// A PEM file with authorities whose certificates are taken besides those this machine knows.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The SELECT. An ORDER BY makes its digest the same each time it is read.
    pub query: String,
    /// Which columns of its result hold what.
    pub columns: Columns,
}

/// Which column holds what. A column that is not named here is read past.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The account reference.
    pub account: String,
    /// The email address. Without it everybody is sealed as `missing`.
    pub address: Option<String>,
    /// The address before its last change. Where that change came after the window began, the notice
    /// goes there, and a copy without link or secret to the newer one.
    pub address_before: Option<String>,
    /// The name for the salutation.
    pub name: Option<String>,
    /// The language tag.
    pub locale: Option<String>,
    /// The region whose law applies.
    pub region: Option<String>,
    /// `self` (also where empty), `guardian`, `estate` or `organisation`.
    pub addressee: Option<String>,
    /// When the address was last changed: an instant with its zone.
    pub address_changed_at: Option<String>,
    /// When the password was last changed: an instant with its zone.
    pub password_changed_at: Option<String>,
    /// The day the address was last proved: `YYYY-MM-DD`.
    pub last_verified_on: Option<String>,
    /// Merge fields by the name of their column: `fields = { product = "text" }`.
    #[serde(default)]
    pub fields: BTreeMap<String, FieldType>,
}

impl Columns {
    /// Accounts alone.
    pub fn accounts(column: impl Into<String>) -> Self {
        Self { account: column.into(), ..Self::default() }
    }

    /// Every column that is named, each with its key in `columns`.
    pub fn named(&self) -> Vec<(String, String)> {
        let optional = [
            ("address", &self.address),
            ("address_before", &self.address_before),
            ("name", &self.name),
            ("locale", &self.locale),
            ("region", &self.region),
            ("addressee", &self.addressee),
            ("address_changed_at", &self.address_changed_at),
            ("password_changed_at", &self.password_changed_at),
            ("last_verified_on", &self.last_verified_on),
        ];
        let mut named = vec![("account".to_owned(), self.account.clone())];
        named.extend(
            optional.into_iter().filter_map(|(key, name)| Some((key.to_owned(), name.clone()?))),
        );
        named.extend(self.fields.keys().map(|name| (format!("fields.{name}"), name.clone())));
        named
    }
}

impl SqlSettings {
    /// Where the database is and how it is entered.
    pub fn database(&self) -> DatabaseSettings<'_> {
        DatabaseSettings {
            url: &self.url,
            user: self.user.as_deref(),
            password_file: self.password_file.as_deref(),
            tls: self.tls,
            authorities: self.authorities.as_deref(),
        }
    }
}

impl SourceSettings {
    /// The merge fields it brings, with their types.
    pub fn fields(&self) -> &BTreeMap<String, FieldType> {
        match self {
            Self::Csv(settings) => &settings.columns.fields,
            Self::Ndjson(settings) => &settings.columns.fields,
            Self::Sql(settings) => &settings.columns.fields,
        }
    }

    /// Opens the source and checks its columns. Relative paths start at `base`.
    pub async fn open(&self, base: &Path) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            Self::Csv(settings) => Box::new(CsvSource::open(settings, base)?),
            Self::Sql(settings) => Box::new(SqlSource::open(settings, base).await?),
            Self::Ndjson(settings) => Box::new(NdjsonSource::open(settings, base)?),
        })
    }

    /// What kind of source it is, and which file or database.
    pub fn provenance(&self) -> (&'static str, String) {
        match self {
            Self::Csv(settings) => ("csv", settings.path.display().to_string()),
            Self::Ndjson(settings) => ("ndjson", settings.path.display().to_string()),
            Self::Sql(settings) => ("sql", settings.url.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AudienceOrigin, AudienceSettings};
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Campaign {
        audience: AudienceSettings,
    }

    fn source(text: &str) -> SourceSettings {
        match toml::from_str::<Campaign>(text).unwrap().audience.origin {
            AudienceOrigin::Source(source) => *source,
            AudienceOrigin::Campaign(people) => panic!("{people}"),
        }
    }

    #[test]
    fn the_audience_is_one_of_its_tables() {
        let csv = r#"[audience.csv]
            path = "people.csv"
            encoding = "windows-1252"
            columns = { account = "customer_id", address = "email", fields = { product = "text" } }"#;
        let SourceSettings::Csv(csv) = source(csv) else { panic!("no CSV settings") };
        assert_eq!((csv.delimiter, csv.encoding), (None, Encoding::Windows1252));
        assert_eq!(csv.columns.fields["product"], FieldType::Text);
        for table in ["sql", "sqlite"] {
            let text = format!(
                "[audience.{table}]\nurl = \"sqlite:shop.db\"\n\
                 query = \"SELECT id FROM customer\"\ncolumns.account = \"id\""
            );
            assert!(matches!(source(&text), SourceSettings::Sql(_)));
        }
        let named: Vec<_> = csv.columns.named().into_iter().map(|(key, _)| key).collect();
        assert_eq!(named, ["account", "address", "fields.product"]);
        let ndjson = "[audience.ndjson]\npath = \"p\"\ncolumns.account = \"id\"";
        assert_eq!(source(ndjson).provenance(), ("ndjson", "p".into()));
    }

    #[test]
    fn a_key_that_nobody_reads_is_an_error() {
        for text in [
            "[audience.csv]\npath = \"p\"\ncolumns = { account = \"id\", adress = \"email\" }",
            "[audience.csv]\npath = \"p\"\nqoute = \"x\"\ncolumns = { account = \"id\" }",
            "[audience.csv]\npath = \"p\"\nencoding = \"utf8\"\ncolumns = { account = \"id\" }",
            "[audience.csv]\npath = \"p\"\ncolumns = { address = \"email\" }",
            "[audience.csv]\npath = \"p\"\ncolumns = { account = \"id\", fields = { a = \"url\" } }",
            "[audience.xlsx]\npath = \"p\"",
        ] {
            assert!(toml::from_str::<Campaign>(text).is_err(), "{text}");
        }
    }
}
