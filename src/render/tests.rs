//! What the shipped notice says, and what the lint refuses.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use super::{CampaignContext, CredentialContext, NoticeContext, RecipientContext, RecipientFacts};
use super::{NoticeSpec, RenderError, Rendered, Reset, Templates};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::field::FieldType;
use crate::domain::incident::Incident;

const TXT: &str = "mail/account-breach/en/body.txt.hbs";
const HTML: &str = "mail/account-breach/en/body.html.hbs";
const SUBJECT: &str = "mail/account-breach/en/subject.txt.hbs";

/// The files as they are shipped.
fn shipped() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut files = BTreeMap::new();
    collect(&root, &root.join("mail"), &mut files);
    files
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

/// In English alone, with two merge fields.
fn compile(files: &BTreeMap<String, Vec<u8>>) -> Result<Templates, RenderError> {
    compile_in(files, &["en"])
}

fn compile_in(
    files: &BTreeMap<String, Vec<u8>>,
    languages: &[&str],
) -> Result<Templates, RenderError> {
    let fields = fields();
    let spec = NoticeSpec { notice: "account-breach", languages: Some(languages), fields: &fields };
    Templates::compile(spec, files)
}

fn fields() -> BTreeMap<String, FieldType> {
    [("bought_on", FieldType::Date), ("product", FieldType::Text), ("total", FieldType::Number)]
        .map(|(name, kind)| (name.to_owned(), kind))
        .into()
}

fn compiled() -> Templates {
    static COMPILED: OnceLock<Templates> = OnceLock::new();
    COMPILED.get_or_init(|| compile(&shipped()).unwrap()).clone()
}

/// Of the person at an address of their own: named `<person>/<mode>`.
fn variants() -> Vec<(String, Rendered)> {
    all_variants().into_iter().filter(|(name, _)| name.matches('/').count() == 1).collect()
}

fn all_variants() -> Vec<(String, Rendered)> {
    let templates = compiled();
    let render = |context| templates.render(context).unwrap();
    let samples = NoticeContext::samples(&fields());
    samples.iter().map(|(name, context)| (name.clone(), render(context))).collect()
}

fn variant(name: &str) -> Rendered {
    let samples = NoticeContext::samples(&fields());
    let (_, context) = samples.iter().find(|(known, _)| known == name).unwrap();
    compiled().render(context).unwrap()
}

/// One line, so that sentences can be looked for wherever lines were broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An amended shipped set; `old` must stand in `file`.
fn amended(file: &str, old: &str, new: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = shipped();
    let text = String::from_utf8(files[file].clone()).unwrap();
    assert!(text.contains(old), "{file} has no {old:?}");
    files.insert(file.to_owned(), text.replace(old, new).into_bytes());
    files
}

fn says(text: &str, sentence: &str) {
    assert!(flat(text).contains(sentence), "does not say {sentence:?}:\n{text}");
}

fn silent(text: &str, phrase: &str) {
    assert!(
        !flat(text).to_lowercase().contains(&phrase.to_lowercase()),
        "says {phrase:?}:\n{text}"
    );
}

mod refusals;

/// Compiles the shipped files with `line` appended to `file`; the refusal and the line's number.
fn refused(file: &str, line: &str) -> (RenderError, usize) {
    let mut files = shipped();
    let bytes = files.get_mut(file).unwrap();
    let number = bytes.split(|byte| *byte == b'\n').count();
    bytes.extend_from_slice(line.as_bytes());
    (compile(&files).unwrap_err(), number)
}

fn refused_there(file: &str, line: &str) -> RenderError {
    let (error, number) = refused(file, line);
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("{file}:{number}:")), "{shown}");
    error
}

#[test]
fn every_variant_renders_without_a_trace_of_the_template() {
    for (name, rendered) in variants() {
        for part in [&rendered.subject, &rendered.text, &rendered.html] {
            for trace in ["{{", "}}", "[object]", "null", "true", "false"] {
                assert!(!part.contains(trace), "{name}: {trace}\n{part}");
            }
        }
        assert_eq!(rendered.subject, "Security notice about your Northwind Outfitters account");
    }
}

#[test]
fn an_expired_password_and_the_site_mode_tell_the_whole_story() {
    let text = variant("expired/site").text;
    for sentence in [
        "Dear Robin Sample,",
        "It happened at Harbour Hosting Ltd, a company that works for us.",
        "from 21 August 2018, 22:58 (BST, UTC+01:00) until 5 September 2018, 21:45 (BST, UTC+01:00)",
        "- your email address",
        "- your password",
        "What was not exposed: - your payment card number",
        "We have already expired your password with us.",
        "type the address you know, www.northwind.example, yourself",
        "choose \"Create a new password\"",
        "the same or a similar password",
        "We will never ask you for a password",
        "www.northwind.example/notice",
        "NW-7Q4K-29XD",
        "- Telephone: +44 20 7946 0018 (every day, 08:00 to 20:00 UK time)",
        "Everyone concerned receives this notice",
        "until 31 December 2018, 23:59 (GMT, UTC).",
    ] {
        says(&text, sentence);
    }
    assert!(text.lines().all(|line| line.chars().count() <= 72), "{text}");
}

#[test]
fn an_account_without_a_password_is_not_told_to_make_one() {
    for part in [variant("no-password/site").text, variant("no-password/site").html] {
        says(&part, "This account has no password with us, because you sign in another way.");
        says(&part, "You may be asked to sign in again.");
        for phrase in ["expired", "Create a new password", "your password", "same or a similar"] {
            silent(&part, phrase);
        }
    }
}

#[test]
fn the_sentence_about_the_credential_follows_its_class() {
    let sentences = [
        ("expired", "We have already expired your password with us."),
        ("changed-since", "You have changed your password since this happened"),
        ("no-password", "This account has no password with us"),
        ("not-found", "We could not find an account"),
        ("exempt", "We have not changed your password ourselves"),
        ("pending", "We have not yet been able to make sure"),
        ("failed", "We have not yet been able to make sure"),
        ("regressed", "We have not yet been able to make sure"),
        ("reset", "Your password has been replaced since this happened."),
        ("reset-elsewhere", "Your password has been replaced since this happened."),
    ];
    for mode in ["site", "link", "none"] {
        for (class, sentence) in sentences {
            let rendered = variant(&format!("{class}/{mode}"));
            for part in [&rendered.text, &rendered.html] {
                says(part, sentence);
                for (_, other) in sentences.iter().filter(|(_, other)| *other != sentence) {
                    silent(part, other);
                }
            }
        }
    }
}

fn has_a_password_to_replace(person: &str) -> bool {
    let classes = ["expired", "pending", "failed", "regressed", "exempt"];
    classes.contains(&person) || person.ends_with("no-name")
}

/// The sample's link, as text and as HTML writes it.
const LINK: &str =
    "https://www.northwind.example/reset#fw1_00SAMPLE-ONLY-THIS-LINK-OPENS-NOTHING-AT-ALLA";

#[test]
fn a_link_stands_where_there_is_one_and_nowhere_else() {
    for (name, rendered) in variants() {
        let (person, mode) = name.split_once('/').unwrap();
        let linked = mode == "link" && has_a_password_to_replace(person);
        let href = format!("<a href=\"{LINK}\">Create a new password</a>");
        for (part, whole) in [(&rendered.text, LINK), (&rendered.html, &href)] {
            assert_eq!(part.matches(whole).count(), usize::from(linked), "{name}");
            assert_eq!(part.contains("fw1_"), linked, "{name}");
            assert_eq!(flat(part).contains("24 hours"), linked, "{name}");
        }
        assert_eq!(rendered.text.lines().any(|line| line == LINK), linked, "{name}");
    }
    compiled().check_links().unwrap();
}

#[test]
fn mode_link_tells_how_long_the_link_lives_and_the_way_without_it() {
    let linked = variant("expired/link");
    says(
        &linked.text,
        "It can be used once, and it stops working 24 hours after we sent this message.",
    );
    says(&linked.html, "stops working <strong>24 hours</strong> after we sent this message.");
    says(&linked.text, "You do not need the link.");
    says(&linked.text, "type the address you know, www.northwind.example, yourself");
    says(&linked.text, "Be careful with every other message");
    silent(&linked.text, "Be careful with messages and calls");
    assert_eq!(
        variant("no-password/link"),
        variant("no-password/site"),
        "no link, the site's words"
    );
}

/// How the HTML part shows the link.
const ANCHOR: &str = "<a href=\"{{person.link}}\">{{> mail/partials/en/new-password-label}}</a>";

#[test]
fn in_mode_link_a_notice_that_hides_or_breaks_the_link_is_refused() {
    for (file, shown, instead) in [
        (TXT, "\n{{person.link}}\n", "\nThe link is in the other part.\n"),
        (TXT, "\n{{person.link}}\n", "\nOpen {{person.link}} now.\n"),
        (TXT, "\n{{person.link}}\n", "\n{{person.link}}\n\n{{person.link}}\n"),
        (HTML, ANCHOR, "It is in the other part."),
        (HTML, ANCHOR, "{{person.link}}"),
        (HTML, ANCHOR, "<a href=\"{{person.link}}\">{{person.link}}</a>"),
        (SUBJECT, "{{> mail", "{{#if reset.link}}{{person.link}}{{/if}} {{> mail"),
    ] {
        let error = compile(&amended(file, shown, instead)).unwrap().check_links().unwrap_err();
        let RenderError::LinkUntold { template, .. } = &error else { panic!("{error}") };
        assert_eq!(template, file, "{error}");
    }
}

#[test]
fn a_link_outside_its_condition_is_refused_in_every_mode() {
    for line in [
        "{{person.link}}",
        "{{#if reset.site}}{{person.link}}{{/if}}",
        "{{#unless reset.none}}{{person.link}}{{/unless}}",
    ] {
        for file in [TXT, HTML, SUBJECT] {
            let error = refused_there(file, line);
            assert!(matches!(error, RenderError::NothingToPrint { .. }), "{line}: {error}");
        }
    }
    let error = refused_there(TXT, "{{length reset.token_for}}");
    assert!(matches!(error, RenderError::BadArgument { .. }), "{error}");
}

#[test]
fn a_new_password_is_asked_for_only_where_one_can_be_made() {
    for (name, rendered) in variants() {
        let (person, mode) = name.split_once('/').unwrap();
        let asked = mode != "none" && has_a_password_to_replace(person);
        for part in [&rendered.text, &rendered.html] {
            assert_eq!(part.contains("Create a new password"), asked, "{name}");
            assert_eq!(
                flat(part).contains("Nothing in this message needs to be opened"),
                asked,
                "{name}"
            );
        }
    }
}

#[test]
fn without_exposed_credentials_no_password_is_spoken_of() {
    for name in ["nothing/none", "bare-nothing/none"] {
        let rendered = variant(name);
        silent(&rendered.text, "password");
        silent(&rendered.html, "password");
        says(&rendered.text, "You have asked us not to send you news");
    }
}

#[test]
fn every_other_kind_is_named() {
    let text = variant("other-secrets-expired/site").text;
    says(&text, "We have already ended every signed-in session of your account");
    assert!(text.contains("- your recovery code\n- your security answer\n"), "{text}");
    for kind in [
        "stay-signed-in token",
        "API key",
        "authenticator app key",
        "recovery code",
        "security answer",
    ] {
        says(&text, &format!("- your {kind}"));
        says(&text, &format!("We have already expired your {kind} with us."));
    }
}

#[test]
fn what_is_not_known_leaves_no_empty_heading_or_gap() {
    let rendered = variant("bare-no-name/none");
    says(&rendered.text, "Hello, This notice");
    for phrase in ["It happened at", "not exposed", "what we offer"] {
        silent(&rendered.text, phrase);
        silent(&rendered.html, phrase);
    }
    assert!(!rendered.text.contains("\n\n\n"));
    says(&variant("bare-nothing/none").text, "- Telephone: +44 20 7946 0018 WHY");
}

#[test]
fn the_html_has_no_other_link_no_image_table_or_script_and_stays_small() {
    for (name, mut rendered) in variants() {
        rendered.html = rendered.html.replace(&format!("<a href=\"{LINK}\""), "");
        for tag in ["<a ", "href", "<img", "<table", "<script", "<style", "url(", "http:", "https:"]
        {
            assert!(!rendered.html.contains(tag), "{name}: {tag}");
        }
        assert!(rendered.html.len() <= 10 * 1024, "{name}: {} bytes", rendered.html.len());
        assert!(rendered.html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        assert_eq!(rendered.html.matches("<li>").count(), rendered.html.matches("</li>").count());
        assert_eq!(rendered.html.matches("<p").count(), rendered.html.matches("</p>").count());
    }
}

fn person(name: &str) -> RecipientContext {
    let expired =
        CredentialContext { kind: CredentialKind::Password, class: CredentialClass::Expired };
    let facts = RecipientFacts::plain(vec![expired], Reset::Site);
    RecipientContext::new(RecipientFacts { name: Some(name), ..facts })
}

fn incident() -> Incident {
    let text = include_str!("../../templates/scaffold/incident.toml");
    Incident::parse(text, "incidents/northwind/incident.toml").unwrap()
}

fn scaffold() -> CampaignContext {
    CampaignContext::new(&incident(), "en").unwrap()
}

#[test]
fn markup_in_a_name_is_escaped_in_html_and_plain_in_text() {
    let prepared = compiled().prepare(&incident()).unwrap();
    let rendered = prepared.render(&person("<script>alert('x')</script> & Co")).unwrap();
    assert!(rendered.html.contains("Dear &lt;script&gt;alert("), "{}", rendered.html);
    assert!(!rendered.html.contains("<script"));
    says(&rendered.text, "Dear <script>alert('x')</script> & Co,");
}

#[test]
fn handlebars_in_a_name_is_only_text() {
    let prepared = compiled().prepare(&incident()).unwrap();
    let rendered = prepared.render(&person("{{reference}}")).unwrap();
    says(&rendered.text, "Dear {{reference}},");
}

#[test]
fn the_scaffold_incident_renders_and_a_prepared_notice_equals_an_unprepared_one() {
    let templates = compiled();
    let context = NoticeContext { campaign: scaffold(), recipient: person("Ada") };
    let rendered = templates.render(&context).unwrap();
    assert_eq!(
        rendered,
        templates.prepare(&incident()).unwrap().render(&context.recipient).unwrap()
    );
    says(&rendered.text, "We learnt of it on 5 September 2018, 21:45 (BST, UTC+01:00).");
    says(&rendered.text, "We shut the server off within an hour of finding the access.");
}

#[test]
fn a_subject_is_one_line_without_control_characters() {
    let mut files = shipped();
    files.insert(
        SUBJECT.to_owned(),
        b"Notice from\r\nBcc: x@y.example\t {{brand.name}}\n\n".to_vec(),
    );
    let templates = compile(&files).unwrap();
    let (_, context) = NoticeContext::samples(&fields()).swap_remove(0);
    let subject = templates.render(&context).unwrap().subject;
    assert_eq!(subject, "Notice from Bcc: x@y.example Northwind Outfitters");
    files.insert(SUBJECT.to_owned(), b" \n".to_vec());
    let error = compile(&files).unwrap_err();
    assert!(matches!(error, RenderError::EmptySubject { .. }), "{error}");
}

#[test]
fn a_person_is_written_to_in_their_language_and_in_no_other() {
    let mut files = shipped();
    for part in ["subject.txt", "body.txt", "body.html"] {
        files.insert(format!("mail/account-breach/fi/{part}.hbs"), b"Ilmoitus".to_vec());
    }
    let templates = compile_in(&files, &["en", "fi", "sv"]).unwrap();
    assert_eq!(templates.locales().collect::<Vec<_>>(), ["en", "fi"], "there is none in Swedish");
    let text = include_str!("../../templates/scaffold/incident.toml");
    let prepared = templates.prepare(&incident()).unwrap();
    assert_eq!(
        prepared.locales().collect::<Vec<_>>(),
        ["en"],
        "the incident is not told in Finnish"
    );
    let of = |locale, credentials| {
        let facts = RecipientFacts::plain(credentials, Reset::Site);
        RecipientContext::new(RecipientFacts { locale, ..facts })
    };
    for locale in ["fi", "sv", "en-GB", ""] {
        let error = prepared.render(&of(locale, Vec::new())).unwrap_err();
        assert!(matches!(error, RenderError::UnknownLocale { .. }), "{error}");
    }
    let text = text.replacen("language = \"en\"", "language = \"fi\"", 1);
    let finnish = Incident::parse(&text, "incidents/northwind/incident.toml").unwrap();
    let prepared = templates.prepare(&finnish).unwrap();
    assert_eq!(prepared.render(&of("fi", Vec::new())).unwrap().subject, "Ilmoitus");
    let expired =
        CredentialContext { kind: CredentialKind::Password, class: CredentialClass::Expired };
    let error = prepared.render(&of("fi", vec![expired])).unwrap_err();
    assert!(matches!(error, RenderError::CredentialsUntold { .. }), "{error}");
}

#[test]
fn a_rendered_notice_does_not_show_itself_in_logs() {
    let rendered = variant("expired/site");
    assert!(!format!("{rendered:?}").contains("Robin"));
}
