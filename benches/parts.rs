//! The parts of one notice and of one sealed row, each by itself: `scripts/bench micro [NAME]`.
//!
//! What the whole costs is measured by `scripts/bench table`; this tells where to look.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forthwith::app::SHIPPED;
use forthwith::domain::address::AddressReason;
use forthwith::domain::credential::{CredentialClass, CredentialKind};
use forthwith::domain::field::Name;
use forthwith::domain::incident::Incident;
use forthwith::domain::recipient::{AccountRef, Addressee, Recipient};
use forthwith::domain::reply::{Phase, ReplyRules, SmtpReply};
use forthwith::domain::variant::Variant;
use forthwith::ledger::merkle::{self, TreeHasher};
use forthwith::mail::message::{Body, Draft, Party, encode_body};
use forthwith::mail::wire::wire_form;
use forthwith::render::{
    CredentialContext, Encoded, NoticeSpec, Prepared, RecipientContext, RecipientFacts, Reset,
    Templates, Trust,
};
use forthwith::secret::campaign_key::{Aad, CampaignKey};
use forthwith::secret::keys::{Key, KeyPurpose};
use forthwith::secret::lookup::{account_digest, address_digest};
use forthwith::secret::mail::{boundary_seed, message_id};
use forthwith::secret::person::{RowSalt, leaf_hash, person};
use forthwith::secret::token::{PlainToken, random_salt};
use uuid::Uuid;

const CAMPAIGN: Uuid = Uuid::from_u128(0x1234_5678_9abc_7def_8123_4567_89ab_cdef);
const ACCOUNT: &str = "C00001234";
const ADDRESS: &str = "customer1234@mail.example";

fn key(purpose: KeyPurpose) -> Key {
    Key::generate(purpose, &mut rand::rng())
}

/// The shipped notice with the scaffold's facts.
fn prepared() -> Prepared {
    let files =
        SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let fields = BTreeMap::new();
    let spec = NoticeSpec { notice: "account-breach", languages: Some(&["en"]), fields: &fields };
    let incident = include_str!("../templates/scaffold/incident.toml");
    let incident = Incident::parse(incident, "incident.toml").expect("the scaffold");
    Templates::compile(spec, &files)
        .expect("templates")
        .prepare(&incident)
        .expect("facts")
        .encoding(encode_body)
}

fn reader() -> RecipientContext {
    let expired = |kind| CredentialContext { kind, class: CredentialClass::Expired };
    RecipientContext::new(RecipientFacts {
        name: Some("Zoë Ångström"),
        variant: Variant::default(),
        trust: Trust::Known,
        credentials: vec![expired(CredentialKind::Password), expired(CredentialKind::Session)],
        carried: Vec::new(),
        reset: Reset::Site,
        reference: "FW-SAMPLE",
        locale: "en",
        unsubscribed: false,
        fields: BTreeMap::new(),
    })
}

fn built(rendered: &Encoded, mail_key: &Key) -> Vec<u8> {
    let from = "security@northwind.example".parse().expect("an address");
    let to = ADDRESS.parse().expect("an address");
    Draft {
        from: Party { name: Some("Northwind Outfitters"), address: &from },
        reply_to: None,
        to: Party { name: Some("Zoë Ångström"), address: &to },
        subject: &rendered.subject,
        text: Body::Encoded(&rendered.text),
        html: Some(Body::Encoded(&rendered.html)),
        message_id: &format!("{}@northwind.example", message_id(mail_key, &CAMPAIGN, 1234, 1)),
        date: jiff::Timestamp::UNIX_EPOCH,
        boundary: &boundary_seed(mail_key, &CAMPAIGN, 1234, 1),
        reference: Some("FW-SAMPLE"),
        feedback_id: None,
        language: Some("en"),
        is_test: false,
    }
    .build()
    .expect("a message")
}

fn notice(criterion: &mut Criterion) {
    let (prepared, reader, mail_key) = (prepared(), reader(), key(KeyPurpose::Mail));
    let mut rendered = Encoded::default();
    prepared.encode(&reader, &mut rendered).expect("a notice");
    let message = built(&rendered, &mail_key);
    let mut group = criterion.benchmark_group("notice");
    group.throughput(Throughput::Bytes(message.len() as u64));
    group.bench_function("build", |bench| bench.iter(|| built(black_box(&rendered), &mail_key)));
    group.bench_function("wire-form", |bench| bench.iter(|| wire_form(black_box(message.clone()))));
    group.bench_function("render", |bench| {
        bench.iter(|| prepared.encode(black_box(&reader), &mut rendered));
    });
    group.finish();
}

fn token(criterion: &mut Criterion) {
    let (token_key, digest_key) = (key(KeyPurpose::Token), key(KeyPurpose::Digest));
    let salt = random_salt(&mut rand::rng());
    let mut group = criterion.benchmark_group("token");
    group.bench_function("salt", |bench| bench.iter(|| random_salt(&mut rand::rng())));
    group.bench_function("derive", |bench| {
        bench.iter(|| PlainToken::derive(&token_key, &CAMPAIGN, 1234, 1, black_box(&salt)));
    });
    let token = PlainToken::derive(&token_key, &CAMPAIGN, 1234, 1, &salt);
    group.bench_function("digest", |bench| bench.iter(|| token.digest(&digest_key)));
    group.finish();
}

fn reply(criterion: &mut Criterion) {
    let rules: ReplyRules = forthwith::config::replies::shipped().expect("rules");
    let taken = "250 2.0.0 Ok: queued as 4QxYz12abcz3mR";
    let refused = "421-4.7.28 Our system has detected an unusual rate of unsolicited mail\n\
                   421-4.7.28 originating from your IP address. To protect our users from spam,\n\
                   421 4.7.28 mail sent from your IP address has been temporarily rate limited.";
    let mut group = criterion.benchmark_group("reply");
    for (name, text) in [("accepted", taken), ("refused", refused)] {
        group.bench_function(format!("parse/{name}"), |bench| {
            bench.iter(|| SmtpReply::parse(black_box(text)));
        });
        let reply = SmtpReply::parse(text).expect("a reply");
        group.bench_function(format!("classify/{name}"), |bench| {
            bench.iter(|| rules.read(Phase::Dot, "gmail", black_box(&reply)));
        });
    }
    group.finish();
}

fn row() -> Recipient {
    Recipient {
        account: AccountRef::parse(ACCOUNT).expect("an account"),
        address: Some(ADDRESS.parse().expect("an address")),
        address_text: None,
        reason: AddressReason::Ok,
        locale: Some("en".to_owned()),
        region: None,
        addressee: Addressee::SelfPerson,
        name: Some(Name::parse("Zoë Ångström").expect("a name")),
        name_refused: false,
        fields: BTreeMap::new(),
        refused: BTreeSet::new(),
        address_changed_at: None,
        address_before: None,
        password_changed_at: None,
        last_verified_on: None,
    }
}

fn seal(criterion: &mut Criterion) {
    let (digest_key, salt) = (key(KeyPurpose::Digest), RowSalt::random(&mut rand::rng()));
    let row = row();
    let canonical = row.canonical();
    let mut group = criterion.benchmark_group("seal");
    group.bench_function("canonical", |bench| bench.iter(|| black_box(&row).canonical()));
    group.bench_function("leaf", |bench| bench.iter(|| leaf_hash(&salt, black_box(&canonical))));
    group.bench_function("person", |bench| {
        bench.iter(|| person(&salt, black_box(ACCOUNT.as_bytes())));
    });
    group.bench_function("account-digest", |bench| {
        bench.iter(|| account_digest(&digest_key, "shop", black_box(ACCOUNT.as_bytes())));
    });
    group.bench_function("address-digest", |bench| {
        bench.iter(|| address_digest(&digest_key, black_box(ADDRESS)));
    });
    let leaves: Vec<_> = (0_u32..1_000).map(|n| merkle::leaf(&n.to_be_bytes())).collect();
    group.bench_function("chunk-root-of-1000", |bench| {
        bench.iter(|| {
            let mut tree = TreeHasher::new();
            for leaf in &leaves {
                tree.push(*leaf);
            }
            tree.root()
        });
    });
    group.finish();
}

fn encryption(criterion: &mut Criterion) {
    let mut rng = rand::rng();
    let campaign = CampaignKey::generate(&mut rng);
    let place =
        Aad { campaign: CAMPAIGN, table: "recipient", number: 1234, column: "body", amendment: 0 };
    let canonical = row().canonical();
    let blob = campaign.seal_blob(&place, &canonical, &mut rng);
    let mut group = criterion.benchmark_group("encryption");
    group.throughput(Throughput::Bytes(canonical.len() as u64));
    group.bench_function("seal-row", |bench| {
        bench.iter(|| campaign.seal_blob(&place, black_box(&canonical), &mut rng));
    });
    group.bench_function("open-row", |bench| {
        bench.iter(|| campaign.open_blob(&place, black_box(&blob)));
    });
    group.finish();
}

criterion_group!(parts, notice, token, reply, seal, encryption);
criterion_main!(parts);
