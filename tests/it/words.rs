//! What people read: every notice the shipped templates can make, in five languages, against committed
//! snapshots; and what a plan refuses or counts for the sake of words.
//!
//! A snapshot holds the text of one kind of notice in full (an expired password, mode `site`) and, for
//! every other class, kind of credential and mode, the paragraphs that differ. `FORTHWITH_SNAPSHOTS=write` writes them anew;
//! `FORTHWITH_HTML_TO=<folder>` writes the HTML parts, for `scripts/screenshots`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use forthwith::app::SHIPPED;
use forthwith::domain::credential::{CredentialClass, CredentialKind};
use forthwith::domain::duration::HumanDuration;
use forthwith::domain::incident::Incident;
use forthwith::domain::recipient::Addressee;
use forthwith::domain::variant::{Readership, Variant};
use forthwith::render::{
    CredentialContext, NoticeSpec, Prepared, RecipientContext, RecipientFacts, Rendered, Reset,
    Templates, Trust,
};
use forthwith::secret::token::PlainToken;

use crate::harness::{snapshot, write};

mod correction;
mod plan;
mod preview;

const LOCALES: [&str; 5] = ["de", "en", "es", "fr", "pt"];

/// A kind of notice.
struct Kind {
    name: String,
    variant: Variant,
    trust: Trust,
    /// The kind it is shown beside, where it differs from that one in few words.
    beside: Option<&'static str>,
}

fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (word, readership) in [("own", Readership::Own), ("shared", Readership::Shared)] {
        for addressee in Addressee::ALL {
            let beside = match (addressee, word) {
                (Addressee::SelfPerson, _) | (Addressee::Guardian, "own") => None,
                (Addressee::Estate, "own") => Some("guardian-own"),
                (_, "own") => Some("self-own"),
                _ => Some("self-shared"),
            };
            let name = format!("{}-{word}", addressee.word());
            let variant = Variant { addressee, readership };
            kinds.push(Kind { name, variant, trust: Trust::Known, beside });
        }
    }
    let readership = Readership::Combined { accounts: 1_207 };
    let variant = Variant { addressee: Addressee::SelfPerson, readership };
    kinds.push(Kind { name: "combined".into(), variant, trust: Trust::Known, beside: None });
    for (word, trust, beside) in [
        ("suspect", Trust::Suspect, "self-own"),
        ("dormant", Trust::Dormant, "self-own"),
        ("copy", Trust::Copy, "self-shared"),
    ] {
        let variant = Variant::default();
        kinds.push(Kind { name: word.into(), variant, trust, beside: Some(beside) });
    }
    kinds
}

fn link() -> Reset {
    let link = PlainToken::sample().link("https://www.quayside-records.example/reset");
    Reset::Link { link, token_for: HumanDuration::from_secs(24 * 60 * 60) }
}

fn incident() -> Incident {
    let text = include_str!("words/incident.toml");
    Incident::parse(text, "incidents/payment-page/incident.toml").unwrap()
}

/// The notices that ship with the program.
const NOTICES: [&str; 2] = ["account-breach", "correction"];

/// Each of them in each language.
fn each_prepared() -> Vec<(&'static str, &'static str, Prepared)> {
    let of = |notice: &'static str| {
        let prepared = prepared(notice);
        LOCALES.map(|locale| (notice, locale, prepared.clone()))
    };
    NOTICES.into_iter().flat_map(of).collect()
}

fn prepared(notice: &str) -> Prepared {
    let files =
        SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let spec = NoticeSpec { notice, languages: None, fields: &BTreeMap::new() };
    let templates = Templates::compile(spec, &files).unwrap();
    assert_eq!(templates.locales().collect::<Vec<_>>(), LOCALES);
    if notice == NOTICES[0] {
        templates.check_links().unwrap();
    }
    let every = ["to_guardian", "to_estate", "to_organisation", "shared", "combined", "suspect"];
    for locale in LOCALES {
        templates.check_variants(locale, every.into_iter().chain(["dormant", "copy"])).unwrap();
    }
    templates.prepare(&incident()).unwrap()
}

fn of(kind: CredentialKind, class: CredentialClass) -> CredentialContext {
    CredentialContext { kind, class }
}

/// The credentials of one account in each case: what they are called, and in which mode. A correction
/// speaks of none.
fn cases(notice: &str) -> Vec<(String, Vec<CredentialContext>, Reset)> {
    if notice == "correction" {
        return vec![("none".into(), Vec::new(), Reset::None)];
    }
    let password = |class| vec![of(CredentialKind::Password, class)];
    let mut cases: Vec<_> = CredentialClass::ALL
        .iter()
        .map(|class| (format!("{class}, site"), password(*class), Reset::Site))
        .collect();
    cases.sort_by_key(|(name, ..)| !name.starts_with("expired"));
    let others = CredentialKind::ALL.iter().filter(|kind| **kind != CredentialKind::Password);
    for class in CredentialClass::ALL {
        let credentials = others.clone().map(|kind| of(*kind, *class)).collect();
        cases.push((format!("every other kind {class}, site"), credentials, Reset::Site));
    }
    let expired = || password(CredentialClass::Expired);
    cases.push(("expired, link".into(), expired(), link()));
    cases.push(("expired, none".into(), expired(), Reset::None));
    cases.push(("nothing exposed but data, none".into(), Vec::new(), Reset::None));
    cases
}

fn render(
    prepared: &Prepared,
    locale: &str,
    kind: &Kind,
    credentials: Vec<CredentialContext>,
    reset: Reset,
) -> Rendered {
    let Kind { variant, trust, .. } = *kind;
    let others = [CredentialClass::Expired, CredentialClass::NoPassword];
    let carried = match variant.readership {
        Readership::Combined { accounts } => (1..accounts)
            .map(|at| {
                let class = others[usize::try_from(at % 2).unwrap()];
                credentials.iter().map(|own| CredentialContext { class, ..*own }).collect()
            })
            .collect(),
        Readership::Own | Readership::Shared => Vec::new(),
    };
    let facts = RecipientFacts::plain(credentials, reset);
    let recipient = RecipientContext::new(RecipientFacts {
        name: Some("Zoë O’Neill"),
        variant,
        trust,
        carried,
        locale,
        reference: "FW-7Q4K-29XD",
        ..facts
    });
    prepared.render(&recipient).unwrap()
}

/// The paragraphs that only one of two texts has: of the first's only their beginning, since it is shown
/// in full elsewhere.
fn difference(base: &str, other: &str) -> String {
    let paragraphs =
        |text: &str| text.split("\n\n").map(|p| p.trim().to_owned()).collect::<Vec<_>>();
    let (base, other) = (paragraphs(base), paragraphs(other));
    let mut out = String::new();
    for gone in base.iter().filter(|one| !other.contains(one)) {
        let more = if gone.contains('\n') { " …" } else { "" };
        writeln!(out, "- {}{more}", gone.lines().next().unwrap_or_default()).unwrap();
    }
    for line in other.iter().filter(|one| !base.contains(one)).flat_map(|new| new.lines()) {
        writeln!(out, "+ {line}").unwrap();
    }
    if out.is_empty() { "the same\n".to_owned() } else { out }
}

/// Every case of a kind: the first in full and the rest by how they differ from it, or all by how they
/// differ from those of the kind beside it; cases that differ alike stand together.
fn notices(notice: &str, prepared: &Prepared, locale: &str, kind: &Kind) -> String {
    let all = kinds();
    let beside = kind.beside.map(|name| all.iter().find(|kind| kind.name == name).unwrap());
    let mut groups: Vec<(Vec<String>, String)> = Vec::new();
    let mut out = beside.map(|kind| format!("Beside {}:\n", kind.name)).unwrap_or_default();
    let mut base: Option<String> = None;
    for (name, credentials, reset) in cases(notice) {
        let rendered = render(prepared, locale, kind, credentials.clone(), reset.clone());
        well_formed(locale, &rendered);
        let whole = |one: &Rendered| format!("Subject: {}\n\n{}", one.subject, one.text);
        let shown = match (beside, &base) {
            (Some(beside), _) => {
                let other = render(prepared, locale, beside, credentials, reset);
                difference(&whole(&other), &whole(&rendered))
            }
            (None, Some(base)) => difference(base, &whole(&rendered)),
            (None, None) => {
                base = Some(whole(&rendered));
                out.push_str(&whole(&rendered));
                continue;
            }
        };
        match groups.iter_mut().find(|(_, known)| *known == shown) {
            Some((names, _)) => names.push(name),
            None => groups.push((vec![name], shown)),
        }
    }
    for (names, shown) in groups {
        write!(out, "\n==== {}\n{shown}", names.join("; ")).unwrap();
    }
    out
}

/// What holds of every HTML part: its language, one heading of the first order and no step left out, no
/// link but the person's own, nothing loaded from anywhere, and nothing told by colour alone.
fn well_formed(locale: &str, rendered: &Rendered) {
    let html = &rendered.html;
    assert!(html.starts_with(&format!("<!DOCTYPE html>\n<html lang=\"{locale}\">\n")), "{html}");
    assert_eq!(html.matches("<h1").count(), 1, "{html}");
    assert!(html.contains("<title>") && html.contains("<main") && !html.contains("<h3"), "{html}");
    assert!(html.find("<h1").unwrap() < html.find("<h2").unwrap());
    let own = "<a href=\"https://www.quayside-records.example/reset#fw1_";
    assert_eq!(html.matches("href").count(), html.matches(own).count(), "{html}");
    assert!(html.matches(own).count() <= 1);
    for tag in ["<img", "<table", "<script", "<style", "url(", "http:", "user-scalable", "px;color"]
    {
        assert!(!html.contains(tag), "{tag}");
    }
    for tag in ["p", "ul", "li", "h2", "strong", "a"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}: {html}");
    }
    for part in [&rendered.subject, &rendered.text, html] {
        for trace in ["{{", "}}", "  ,", "<p></p>", "<li></li>", "null"] {
            assert!(!part.contains(trace), "{trace:?}: {part}");
        }
    }
    // words, not structure: both parts say the same
    let spoken = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>();
    let bare = without_tags(html);
    let text: Vec<String> =
        rendered.text.replace("\n- ", "\n").lines().map(str::to_owned).collect();
    let missing: Vec<String> =
        spoken(&text.join("\n")).into_iter().filter(|word| !bare.contains(word)).collect();
    assert!(
        missing.iter().all(|word| word.contains("fw1_")),
        "not in the HTML: {missing:?}\n{bare}"
    );
}

fn without_tags(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    let named = [("&#x27;", "'"), ("&ldquo;", "\""), ("&rdquo;", "\""), ("&amp;", "&")];
    named.iter().fold(out, |text, (entity, c)| text.replace(entity, c)).to_lowercase()
}

fn steering(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.into_string().unwrap())
}

#[test]
fn every_notice_reads_as_its_snapshot() {
    snapshot::all(each_prepared().into_iter().flat_map(|(notice, locale, prepared)| {
        kinds().into_iter().map(move |kind| {
            let name = format!("{notice}/{locale}/{}.txt", kind.name);
            (name, notices(notice, &prepared, locale, &kind))
        })
    }));
    if let Some(folder) = steering("FORTHWITH_HTML_TO") {
        for notice in NOTICES {
            write_html(notice, &prepared(notice), Path::new(&folder));
        }
    }
}

fn write_html(notice: &str, prepared: &Prepared, folder: &Path) {
    for locale in LOCALES {
        for kind in kinds() {
            for (what, credentials, reset) in cases(notice) {
                let rendered = render(prepared, locale, &kind, credentials, reset);
                let what = what.replace(", ", "-").replace(' ', "-");
                let name = format!("{notice}-{locale}-{}-{what}.html", kind.name);
                write(&folder.join(name), &rendered.html);
            }
        }
    }
}

#[test]
fn no_notice_says_what_another_language_says() {
    let foreign = [
        ("en", vec!["your account", "strangers", "password"]),
        ("fr", vec!["votre", "mot de passe", "veuillez"]),
        ("de", vec!["passwort", "konto", "bitte"]),
        ("es", vec!["contraseña", "usted", "cuenta"]),
        ("pt", vec!["senha", "conta ", "não"]),
    ];
    for (notice, locale, prepared) in each_prepared() {
        for kind in kinds() {
            for (_, credentials, reset) in cases(notice) {
                let rendered = render(&prepared, locale, &kind, credentials, reset);
                let text = rendered.text.to_lowercase();
                for (other, words) in foreign.iter().filter(|(other, _)| *other != locale) {
                    for word in words {
                        assert!(
                            !text.contains(word),
                            "{locale} {} says {word:?} ({other})",
                            kind.name
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_several_people_read_names_nobody_and_nothing_of_one_account() {
    for (notice, locale, prepared) in each_prepared() {
        for kind in kinds() {
            let Kind { name, variant, trust, .. } = &kind;
            let is_own = variant.readership == Readership::Own && *trust == Trust::Known;
            for (case, credentials, reset) in cases(notice) {
                let rendered = render(&prepared, locale, &kind, credentials, reset);
                for part in [&rendered.subject, &rendered.text, &rendered.html] {
                    assert!(is_own || !part.contains("Zo"), "{locale} {name} {case}: {part}");
                    assert!(is_own || !part.contains("fw1_"), "{locale} {name} {case}: {part}");
                }
                if name == "combined" && notice == NOTICES[0] {
                    assert!(
                        rendered.text.contains("1.207")
                            || rendered.text.contains("1,207")
                            || rendered.text.contains("1207")
                            || rendered.text.contains("1\u{202f}207"),
                        "{locale}: the count as the language writes it"
                    );
                }
            }
        }
    }
}
