//! TLS as a client: which authorities are trusted, or none, by the one provider of this program, named here: a
//! process-wide default could be missing, or another. (Databases' drivers bring their own.)

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

/// Why no connection can be secured as asked.
#[derive(Debug, Error)]
pub enum TlsSetupError {
    /// The file with authorities.
    #[error("{} holds no usable authorities: {cause}; hint: `{key}` names a PEM file with their certificates", path.display())]
    Authorities {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The machine has none.
    #[error(
        "this machine has no certificate authorities to check a certificate by; hint: install them \
         (Debian: ca-certificates), or name your own in `{key}`"
    )]
    NoAuthorities {
        /// The key that could name some.
        key: &'static str,
    },
    /// The provider.
    #[error("TLS cannot be set up: {0}; hint: this is a fault in forthwith, please report it")]
    Provider(String),
}

/// Whose word is taken for a certificate.
#[derive(Debug, Clone, Copy)]
pub enum Trusted<'a> {
    /// That of this machine's authorities.
    Machine,
    /// That of the authorities in a PEM file alone.
    Only(&'a Path),
    /// That of this machine's and of those in a PEM file.
    Also(&'a Path),
}

impl<'a> Trusted<'a> {
    /// This machine's, and those of a file where one is named.
    pub fn with(file: Option<&'a Path>) -> Self {
        file.map_or(Self::Machine, Self::Also)
    }
}

/// With a certificate that is checked. `key` names the file in the settings.
pub fn checked(trusted: Trusted<'_>, key: &'static str) -> Result<ClientConfig, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    if !matches!(trusted, Trusted::Only(_)) {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Trusted::Only(path) | Trusted::Also(path) = trusted {
        add_file(&mut roots, path, key)?;
    }
    if roots.is_empty() {
        return Err(TlsSetupError::NoAuthorities { key });
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

fn add_file(
    roots: &mut RootCertStore,
    path: &Path,
    key: &'static str,
) -> Result<(), TlsSetupError> {
    let fault = |cause: String| TlsSetupError::Authorities { key, path: path.into(), cause };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(error.to_string()))?;
    if found.is_empty() {
        return Err(fault("it has no certificate".into()));
    }
    for certificate in found {
        roots.add(certificate).map_err(|error| fault(error.to_string()))?;
    }
    Ok(())
}

/// With whatever certificate: for servers on this machine alone.
pub fn unchecked() -> Result<ClientConfig, TlsSetupError> {
    let verifier = Arc::new(AnyCertificate(ring::default_provider()));
    Ok(builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, TlsSetupError> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetupError::Provider(error.to_string()))
}

/// Takes any certificate whose key really signed the handshake.
#[derive(Debug)]
struct AnyCertificate(CryptoProvider);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
