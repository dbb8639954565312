//! The `[audience.*]` tables of a campaign file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CsvSource, Source, SourceError, SqliteSource};
use crate::domain::field::FieldType;

/// Where an audience comes from; exactly one of its tables.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceSettings {
    /// `[audience.csv]`
    Csv(CsvSettings),
    /// `[audience.sqlite]`
    Sqlite(SqliteSettings),
}

/// A CSV file with a header, in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvSettings {
    /// The file; a relative path starts at the workspace.
    pub path: PathBuf,
    /// What stands between two values: `,` if not given.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Which columns hold what.
    pub columns: Columns,
}

/// One SELECT over an `SQLite` file, which is opened for reading only.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteSettings {
    /// `sqlite:shop.db`; a relative path starts at the workspace.
    pub url: String,
    /// The SELECT. An ORDER BY makes its digest the same each time it is read.
    pub query: String,
    /// Which columns of its result hold what.
    pub columns: Columns,
}

/// Which column holds what. A column that is not named here is read past.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The account reference.
    pub account: String,
    /// The email address. Without it everybody is sealed as `missing`.
    pub address: Option<String>,
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

fn comma() -> char {
    ','
}

impl SourceSettings {
    /// The merge fields it brings, with their types.
    pub fn fields(&self) -> &BTreeMap<String, FieldType> {
        match self {
            Self::Csv(settings) => &settings.columns.fields,
            Self::Sqlite(settings) => &settings.columns.fields,
        }
    }

    /// Opens the source and checks its columns. Relative paths start at `base`.
    pub async fn open(&self, base: &Path) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            Self::Csv(settings) => Box::new(CsvSource::open(settings, base)?),
            Self::Sqlite(settings) => Box::new(SqliteSource::open(settings, base).await?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Campaign {
        audience: SourceSettings,
    }

    #[test]
    fn the_audience_is_one_of_its_tables() {
        let csv = r#"[audience.csv]
            path = "people.csv"
            columns = { account = "customer_id", address = "email", fields = { product = "text" } }"#;
        let Ok(Campaign { audience: SourceSettings::Csv(csv) }) = toml::from_str(csv) else {
            panic!("no CSV settings")
        };
        assert_eq!((csv.delimiter, csv.columns.account.as_str()), (',', "customer_id"));
        assert_eq!(csv.columns.fields["product"], FieldType::Text);
        let sqlite = r#"[audience.sqlite]
            url = "sqlite:shop.db"
            query = "SELECT id FROM customer"
            columns.account = "id""#;
        let read = toml::from_str::<Campaign>(sqlite).unwrap();
        assert!(matches!(read.audience, SourceSettings::Sqlite(_)));
    }

    #[test]
    fn a_key_that_nobody_reads_is_an_error() {
        for text in [
            "[audience.csv]\npath = \"p\"\ncolumns = { account = \"id\", adress = \"email\" }",
            "[audience.csv]\npath = \"p\"\nqoute = \"x\"\ncolumns = { account = \"id\" }",
            "[audience.csv]\npath = \"p\"\ncolumns = { address = \"email\" }",
            "[audience.csv]\npath = \"p\"\ncolumns = { account = \"id\", fields = { a = \"url\" } }",
            "[audience.xlsx]\npath = \"p\"",
        ] {
            assert!(toml::from_str::<Campaign>(text).is_err(), "{text}");
        }
    }
}
