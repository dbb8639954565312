//! A house with a relay that is as strict as relays are: STARTTLS, a checked certificate, a log-in.

use std::time::Duration;

use forthwith::domain::duration::HumanDuration;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::mail::settings::RelaySettings;
use forthwith::mail::tls::TlsMode;
use forthwith::secret::relay::RelaySecret;
use forthwith::sink::{self, CertificateSource, Certificates, MailStore, Settings, Sink};
use forthwith::store::reports::DeliveryFilter;
use tokio_util::sync::CancellationToken;

use super::{CAMPAIGN, House, INCIDENT, Plan, campaign_file, write};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// The time of every step.
const BOUND: HumanDuration = HumanDuration::from_millis(300);

/// A house without credentials to expire, one row a person, whose relay wants STARTTLS and a log-in.
pub struct Stage {
    pub house: House,
    pub sink: Sink,
}

impl Stage {
    /// The relay plays `faults`.
    pub async fn with(faults: &[&str], people: &[&str]) -> Self {
        Self::shaped(people, |settings| {
            settings.faults = faults.iter().map(|rule| rule.parse().unwrap()).collect();
        })
        .await
    }

    /// The relay is otherwise than usual.
    pub async fn shaped(people: &[&str], shape: impl FnOnce(&mut Settings)) -> Self {
        let file = campaign_file("[in_doubt]\nthen = \"hold\"\n")
            .replace("schedule = [\"1s\"]", "schedule = [\"1h\"]")
            .replace("max_age = \"1h\"", "max_age = \"5d\"")
            .replace("[notice]\n", "[notice]\nmode = \"none\"\n");
        let mut house =
            House::furnished(Plan { customers: 1, campaign: file, ..Plan::default() }).await;
        let row = |address: &&str| format!("{address},Ada,{address}\n");
        let rows: String = people.iter().map(row).collect();
        write(&house.path("affected.csv"), &format!("customer_id,name,email\n{rows}"));
        let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
        write(&house.engine.workspace.incident_file("cold-night").0, &incident);
        let certificates = Certificates::make(sink::CertificateKind::Valid, &[]).unwrap();
        let authorities = house.path("authority.pem");
        let mut settings = Settings {
            store: MailStore::Maildir(house.path("maildir")),
            tls: sink::TlsSettings {
                mode: sink::TlsMode::Starttls,
                certificate: CertificateSource::Given(certificates),
                required: true,
            },
            auth: Some(sink::AuthSettings::new("ann", "the relay's own secret".into())),
            ..Settings::counting("127.0.0.1:0".parse().unwrap())
        };
        shape(&mut settings);
        if let CertificateSource::Given(made) = &settings.tls.certificate {
            write(&authorities, &made.authority_pem);
        }
        let sink = Sink::start(settings).await.unwrap();
        let relay = &mut house.engine.relay;
        *relay = RelaySettings::new("127.0.0.1", sink.addr().port(), relay.hello.clone());
        relay.connections = 1;
        relay.tls = TlsMode::Starttls;
        relay.authorities = Some(authorities);
        relay.auth.user = "ann".into();
        relay.auth.secret = Some(RelaySecret::new("the relay's own secret".into()));
        let bounds = &mut relay.timeouts;
        for bound in [
            &mut bounds.greeting,
            &mut bounds.ehlo,
            &mut bounds.tls,
            &mut bounds.auth,
            &mut bounds.mail,
            &mut bounds.rcpt,
            &mut bounds.data,
            &mut bounds.dot,
        ] {
            *bound = BOUND;
        }
        house.seal().await;
        house.approve(Track::Notice).await;
        Self { house, sink }
    }

    /// Runs until `there` holds, then stops; gives back what the run said where it ended by itself.
    pub async fn run_until(&self, there: impl AsyncFn(&Self) -> bool) -> Option<String> {
        let (engine, soft) = (self.house.engine.clone(), CancellationToken::new());
        let stop = soft.clone();
        let run = tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &stop).await });
        let watched = tokio::time::timeout(PATIENCE, async {
            while !run.is_finished() && !there(self).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(watched.await.is_ok(), "it never came there");
        soft.cancel();
        let ended = tokio::time::timeout(PATIENCE, run).await.expect("it hangs").unwrap();
        ended.err().map(|error| error.to_string())
    }

    /// The first person's class with its reason, and how many attempts count.
    pub async fn class(&self) -> (String, u32) {
        let all =
            self.house.engine.deliveries(CAMPAIGN, &DeliveryFilter::default(), None, 10).await;
        let person = all.unwrap().remove(0);
        let class = match person.reason.as_str() {
            "" => person.class.to_owned(),
            reason => format!("{}/{reason}", person.class),
        };
        (class, person.attempts)
    }
}
