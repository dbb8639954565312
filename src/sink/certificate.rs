//! Throw-away certificates for servers on this machine: a small authority, and what it signs.
//!
//! For the sink, and for tests that run other mail servers. A key made here protects nothing: it
//! lives as long as the process, or as the file a test wrote it to.

use std::fmt;
use std::str::FromStr;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use serde::Deserialize;

use super::setting::SettingError;

/// Names of this machine that every certificate for it carries.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// What is wrong with a certificate, if anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// Signed by the authority, for the right names, in its time.
    #[default]
    Valid,
    /// Ended years ago.
    Expired,
    /// For a name nobody asks for.
    OtherName,
    /// Signed by its own key, not by the authority.
    SelfSigned,
}

impl FromStr for CertificateKind {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "valid" => Self::Valid,
            "expired" => Self::Expired,
            "other-name" => Self::OtherName,
            "self-signed" => Self::SelfSigned,
            _ => {
                let hint = "take valid, expired, other-name or self-signed";
                return Err(SettingError::new("certificate kind", text, hint));
            }
        })
    }
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate for these names; hint: take DNS names and IP addresses")]
pub struct CertificateError(#[from] rcgen::Error);

/// What a TLS server needs, and what its clients must trust, all as PEM.
#[derive(Clone)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority_pem: String,
    /// The server's certificate.
    pub chain_pem: String,
    /// The server's private key, PKCS #8.
    pub key_pem: String,
}

impl Certificates {
    /// A certificate by an authority made for it alone; for `localhost`, the loopback addresses and
    /// `names`, each a DNS name or an IP address.
    pub fn make(kind: CertificateKind, names: &[&str]) -> Result<Self, CertificateError> {
        Authority::make()?.certificates(kind, names)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("certificates and a key")
    }
}

/// An authority made for one run of one test.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn make() -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Forthwith throw-away authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_lifetime(&mut params, CertificateKind::Valid);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Its certificate, for clients to trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's certificate for `localhost`, the loopback addresses and `names`, each a DNS name
    /// or an IP address; one of [`CertificateKind::OtherName`] is for none of them.
    pub fn certificates(
        &self,
        kind: CertificateKind,
        names: &[&str],
    ) -> Result<Certificates, CertificateError> {
        let key = KeyPair::generate()?;
        let names: Vec<String> = match kind {
            CertificateKind::OtherName => vec!["other-name.invalid".to_owned()],
            _ => LOOPBACK.iter().chain(names).map(ToString::to_string).collect(),
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "Forthwith throw-away server");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_lifetime(&mut params, kind);
        let certificate = match kind {
            CertificateKind::SelfSigned => params.self_signed(&key)?,
            _ => params.signed_by(&key, &self.issuer)?,
        };
        let (authority_pem, chain_pem) = (self.pem.clone(), certificate.pem());
        Ok(Certificates { authority_pem, chain_pem, key_pem: key.serialize_pem() })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a throw-away authority")
    }
}

/// Sets when it begins and ends. Ends before 2050: later dates have another form in RFC 5280
/// section 4.1.2.5, which old readers do not know.
fn set_lifetime(params: &mut CertificateParams, kind: CertificateKind) {
    let ends = if kind == CertificateKind::Expired { 2020 } else { 2049 };
    params.not_before = date_time_ymd(2012, 1, 15);
    params.not_after = date_time_ymd(ends, 12, 31);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_one_authority_differ_and_hide_their_key() {
        let authority = Authority::make().unwrap();
        let make = || authority.certificates(CertificateKind::Valid, &["relay.test", "192.0.2.1"]);
        let (one, two) = (make().unwrap(), make().unwrap());
        assert_eq!(one.authority_pem, two.authority_pem);
        assert_eq!(one.authority_pem, authority.pem());
        assert_ne!(one.chain_pem, two.chain_pem);
        assert!(one.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!format!("{one:?} {authority:?}").contains("BEGIN"));
    }

    #[test]
    fn a_wrong_name_or_kind_has_a_hint() {
        let error = Certificates::make(CertificateKind::Valid, &["jürgen.test"]).unwrap_err();
        assert!(error.to_string().contains("hint: take DNS names"));
        let error = "broken".parse::<CertificateKind>().unwrap_err();
        assert!(error.to_string().contains("hint: take valid, expired"));
        assert_eq!("self-signed".parse(), Ok(CertificateKind::SelfSigned));
    }
}
