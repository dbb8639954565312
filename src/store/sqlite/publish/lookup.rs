//! The digest look-ups of a seal, copied in digest order. An account finds its person, not their copy; an
//! address finds whichever row it is the address of.

/// Which look-up is copied.
#[derive(Clone, Copy)]
pub(super) enum Lookup {
    Account,
    Address,
}

impl Lookup {
    /// The slice's bound, its copy, and the move of its mark.
    pub(super) fn statements(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Account => (
                "SELECT s.copied_account,
                        (SELECT MAX(account) FROM (
                             SELECT account FROM staging.row
                             WHERE copy_of IS NULL AND account > s.copied_account
                             ORDER BY account LIMIT $2))
                 FROM seal AS s WHERE s.id = $1",
                "INSERT INTO account_lookup (seal_id, digest, number)
                 SELECT $1, account, number FROM staging.row
                 WHERE copy_of IS NULL AND account > $2 AND account <= $3 AND fate = 0
                 ORDER BY account, number",
                "UPDATE seal SET copied_account = $3 WHERE id = $1 AND copied_account = $2",
            ),
            Self::Address => (
                "SELECT s.copied_address,
                        (SELECT MAX(address) FROM (
                             SELECT address FROM staging.row
                             WHERE address IS NOT NULL AND fate = 0 AND address > s.copied_address
                             ORDER BY address LIMIT $2))
                 FROM seal AS s WHERE s.id = $1",
                "INSERT INTO address_lookup (seal_id, digest, number)
                 SELECT $1, address, number FROM staging.row
                 WHERE address IS NOT NULL AND address > $2 AND address <= $3 AND fate = 0
                 ORDER BY address, number",
                "UPDATE seal SET copied_address = $3 WHERE id = $1 AND copied_address = $2",
            ),
        }
    }
}
