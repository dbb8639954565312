//! `forthwith sink`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::CliError;
use super::context::Context;
use crate::lifecycle::until_stopped;
use crate::sink::{
    AuthSettings, CertificateKind, CertificateSource, ConnectionLimit, EhloForm, Extension,
    FaultRule, GreylistSettings, MailStore, ReplyScript, SettingError, Settings, Sink, SinkError,
    TlsMode, TlsSettings,
};

#[derive(Debug, Args)]
pub(super) struct SinkArgs {
    /// Where to listen; loopback only, port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:2525")]
    listen: SocketAddr,
    /// Keep accepted mail in this Maildir, with one line a recipient in its `accepted.log`
    #[arg(long, value_name = "DIR")]
    maildir: Option<PathBuf>,
    /// Append to this file a line for each recipient that was accepted, and for each transaction that a
    /// client left open
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    manners: MannerArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    auth: AuthArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Faults")]
struct FaultArgs {
    /// A fault to play, such as `rcpt:550:0.02`, `ehlo:half:times=1` or `data:slow=2s`; may be
    /// repeated
    #[arg(long = "fault", value_name = "RULE")]
    faults: Vec<FaultRule>,
    /// Replies by address: lines of pattern, phase and reply, parted by tabs
    #[arg(long, value_name = "FILE")]
    replies: Option<PathBuf>,
    /// Seed of the faults: equal seeds give equal fates
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Wait so long before the final dot is answered, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    dot_delay_ms: u64,
    /// Wait so long before each reply, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 0)]
    slow_ms: u64,
    /// Send all replies one octet at a time
    #[arg(long)]
    bytewise: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Manners")]
struct MannerArgs {
    /// What EHLO offers, parted by commas; empty for nothing; all that is possible by default
    #[arg(long, value_name = "LIST")]
    offer: Option<Offer>,
    /// In which form EHLO is answered: `lower-case`, `old-auth`, `unknown=300`, parted by commas
    #[arg(long, value_name = "FORM", default_value = "")]
    ehlo: EhloForm,
    /// Say 421 to further connections; `5:cut` closes them without a word
    #[arg(long, value_name = "N")]
    max_connections: Option<ConnectionLimit>,
    /// Say 421 once a connection has sent so many messages
    #[arg(long, value_name = "N")]
    messages_per_connection: Option<u64>,
    /// Ask who comes first to come back after so long; `5m:0.5` asks half of all
    #[arg(long, value_name = "TIME")]
    greylist: Option<GreylistSettings>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "TLS")]
struct TlsArgs {
    /// When a connection comes under TLS: `none`, `starttls` or `implicit`
    #[arg(long, value_name = "MODE", default_value = "none")]
    tls: TlsMode,
    /// Refuse AUTH and MAIL before STARTTLS
    #[arg(long)]
    tls_required: bool,
    /// The certificate made at start: `valid`, `expired`, `other-name` or `self-signed`
    #[arg(long, value_name = "KIND", conflicts_with = "certificate")]
    certificate_kind: Option<CertificateKind>,
    /// A name or address the certificate is for, beside the loopback ones; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "certificate")]
    certificate_name: Vec<String>,
    /// Write the certificate that clients must trust to this file
    #[arg(long, value_name = "FILE", conflicts_with = "certificate")]
    authority_out: Option<PathBuf>,
    /// Take this certificate, with those between it and its authority, as PEM
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "AUTH")]
struct AuthArgs {
    /// The one user who may authenticate
    #[arg(long = "auth-user", value_name = "NAME", requires = "secret_file")]
    user: Option<String>,
    /// A file whose first line is the user's password or token
    #[arg(long = "auth-secret-file", value_name = "FILE", requires = "user")]
    secret_file: Option<PathBuf>,
    /// Offer and take AUTH only under TLS
    #[arg(long = "auth-under-tls", requires = "user")]
    under_tls: bool,
    /// Refuse MAIL before AUTH
    #[arg(long = "auth-required", requires = "user")]
    required: bool,
}

/// Extensions parted by commas; an empty text is none at all.
#[derive(Debug, Clone)]
struct Offer(Vec<Extension>);

impl FromStr for Offer {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl TlsArgs {
    fn settings(self) -> Result<TlsSettings, CliError> {
        let asks_for_tls = self.tls_required
            || self.certificate_kind.is_some()
            || self.certificate.is_some()
            || self.authority_out.is_some()
            || !self.certificate_name.is_empty();
        if self.tls == TlsMode::None && asks_for_tls {
            return Err(CliError::refused(
                "TLS is set up and not spoken; hint: add --tls starttls or --tls implicit",
            ));
        }
        let certificate = match (self.certificate, self.certificate_key) {
            (Some(chain), Some(key)) => CertificateSource::Files { chain, key },
            _ => CertificateSource::Made {
                kind: self.certificate_kind.unwrap_or_default(),
                names: self.certificate_name,
                authority_out: self.authority_out,
            },
        };
        Ok(TlsSettings { mode: self.tls, certificate, required: self.tls_required })
    }
}

impl AuthArgs {
    fn settings(self) -> Result<Option<AuthSettings>, CliError> {
        let (Some(user), Some(file)) = (self.user, self.secret_file) else {
            return Ok(None);
        };
        Ok(Some(AuthSettings {
            only_under_tls: self.under_tls,
            required: self.required,
            ..AuthSettings::new(&user, secret(&file)?)
        }))
    }
}

/// The first line of a file, which must not be empty.
fn secret(path: &Path) -> Result<String, CliError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|source| CliError::File { path: shown.to_string(), source })?;
    let first = text.lines().next().filter(|line| !line.is_empty());
    first.map(str::to_owned).ok_or_else(|| {
        CliError::refused(format!("`{shown}` has no secret; hint: write it on the first line"))
    })
}

fn settings(args: SinkArgs) -> Result<Settings, CliError> {
    let SinkArgs { listen, maildir, record, faults, manners, tls, auth } = args;
    let replies = faults.replies.as_deref().map(ReplyScript::read).transpose();
    Ok(Settings {
        listen,
        store: maildir.map_or(MailStore::Count, MailStore::Maildir),
        record,
        faults: faults.faults.into_iter().collect(),
        replies: replies.map_err(SinkError::from)?.unwrap_or_default(),
        seed: faults.seed,
        dot_delay: Duration::from_millis(faults.dot_delay_ms),
        slow: Duration::from_millis(faults.slow_ms),
        bytewise: faults.bytewise,
        offer: manners.offer.map(|offer| offer.0),
        ehlo: manners.ehlo,
        max_connections: manners.max_connections,
        messages_per_connection: manners.messages_per_connection,
        greylist: manners.greylist,
        tls: tls.settings()?,
        auth: auth.settings()?,
    })
}

pub(super) async fn run(args: SinkArgs, context: &Context<'_>) -> Result<(), CliError> {
    context.log_without_workspace()?;
    let printer = context.printer;
    let settings = settings(args)?;
    let work = async |stop: tokio_util::sync::CancellationToken| {
        let sink = Sink::start(settings).await?;
        printer.data(&format!("listening on {}", sink.addr()))?;
        stop.cancelled().await;
        let counts = sink.counts();
        sink.stop().await;
        printer.json(&counts)
    };
    until_stopped(|| {}, work).await.map_err(CliError::Runtime)?
}
