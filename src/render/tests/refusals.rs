//! What the lint refuses, with file and line.

use super::*;

#[test]
fn a_typo_in_a_condition_is_refused_with_file_and_line() {
    for line in [
        "{{#if persn.has_name}}x{{/if}}",
        "{{#unless person.hasname}}x{{/unless}}",
        "{{#if (and reset.site person.typo)}}x{{/if}}",
        "{{#if reset.site}}{{else if person.typo}}x{{/if}}",
        "{{#each credentials}}{{#if expird}}x{{/if}}{{/each}}",
        "{{#each credentials}}{{#if @root.brand.nam}}x{{/if}}{{/each}}",
        "{{#each incident.sumary}}x{{else}}y{{/each}}",
        "{{brand.nam}}",
        "{{date incident.fro}}",
    ] {
        for file in [TXT, HTML, SUBJECT, "mail/partials/en/text-contact.hbs"] {
            let error = refused_there(file, line);
            assert!(matches!(error, RenderError::UnknownPath { .. }), "{line}: {error}");
        }
    }
}

#[test]
fn an_unknown_helper_is_refused_with_file_and_line() {
    for line in [
        "{{dat incident.from}}",
        "{{lookup brand \"name\"}}",
        "{{#with brand}}x{{/with}}",
        "{{#if (eq reset.site 1)}}x{{/if}}",
        "{{#if reset.none}}{{log 1}}{{/if}}",
    ] {
        let error = refused_there(HTML, line);
        assert!(matches!(error, RenderError::UnknownHelper { .. }), "{line}: {error}");
    }
}

#[test]
fn a_missing_or_endless_partial_is_refused_with_file_and_line() {
    let error = refused_there(TXT, "{{> mail/partials/en/nofoot}}");
    assert!(matches!(error, RenderError::MissingPartial { .. }), "{error}");
    let error = refused_there(TXT, "{{> mail/account-breach/en/subject.txt}}");
    assert!(matches!(error, RenderError::MissingPartial { .. }), "{error}");
    let error =
        refused_there("mail/partials/en/text-contact.hbs", "{{> mail/partials/en/text-contact}}");
    assert!(matches!(error, RenderError::EndlessPartial { .. }), "{error}");
    let error = refused_there(TXT, "{{> mail/partials/en/secret brand=reference}}");
    assert!(matches!(error, RenderError::Unsupported { .. }), "{error}");
}

#[test]
fn unescaped_output_is_refused_in_html_and_in_its_partials() {
    for line in
        ["{{{person.name}}}", "{{&person.name}}", "{{{date incident.from}}}", "{{~{person.name}~}}"]
    {
        for file in [HTML, "mail/partials/en/html-contact.hbs"] {
            let error = refused_there(file, line);
            assert!(matches!(error, RenderError::RawOutput { .. }), "{line}: {error}");
        }
    }
}

#[test]
fn what_can_be_empty_is_printed_only_behind_its_own_condition() {
    for line in [
        "{{incident.vendor}}",
        "{{#if contact.phone}}{{contact.hours}}{{/if}}",
        "{{brand}}",
        "{{person.has_name}}",
        "{{person.name}}",
        "{{incident.exposed}}",
    ] {
        let error = refused_there(TXT, line);
        assert!(matches!(error, RenderError::NothingToPrint { .. }), "{line}: {error}");
    }
    for line in [
        "{{date incident.offer.enrol_by}}",
        "{{list incident.advice}}",
        "{{date reference}}",
        "{{count reference}}",
    ] {
        let error = refused_there(TXT, line);
        assert!(matches!(error, RenderError::BadArgument { .. }), "{line}: {error}");
    }
    let mut files = shipped();
    files.get_mut(TXT).unwrap().extend_from_slice(
        b"{{#if incident.advice}}{{list incident.advice}} {{count 1234}}{{/if}}",
    );
    let templates = compile(&files).unwrap();
    let text = templates
        .render(&NoticeContext { campaign: scaffold(), recipient: person("Ada") })
        .unwrap()
        .text;
    says(&text, "you did not place. 1,234");
}

#[test]
fn broken_syntax_is_refused_with_file_and_line() {
    let (error, number) = refused(TXT, "{{#if reset.site}}never closed\n");
    let RenderError::Syntax { place, .. } = &error else { panic!("{error}") };
    assert_eq!(place.template, TXT);
    assert!(place.line >= number, "{error}");
}

#[test]
fn a_body_that_forgets_a_class_is_refused() {
    let mut files = shipped();
    let partial = files.get_mut("mail/partials/en/credential.hbs").unwrap();
    *partial = String::from_utf8(partial.clone())
        .unwrap()
        .replace("#if renewed}}", "#if expired}}")
        .into_bytes();
    let error = compile(&files).unwrap_err();
    assert!(matches!(&error, RenderError::MissingBlock { flag: "renewed", .. }), "{error}");
}

#[test]
fn a_missing_part_a_stray_file_and_an_unknown_notice_are_refused() {
    let mut files = shipped();
    files.remove(HTML);
    let error = compile(&files).unwrap_err();
    assert!(matches!(&error, RenderError::MissingPart { template } if template == HTML), "{error}");
    let mut files = shipped();
    files.insert("mail/account-breach/en/bodytxt.hbs".to_owned(), Vec::new());
    let error = compile(&files).unwrap_err();
    assert!(matches!(error, RenderError::StrayFile { .. }), "{error}");
    let error = Templates::compile(
        NoticeSpec { notice: "no-such", languages: None, fields: &fields() },
        &shipped(),
    )
    .unwrap_err();
    assert!(matches!(error, RenderError::UnknownNotice { .. }), "{error}");
    let mut files = shipped();
    files.insert(TXT.to_owned(), vec![0xff]);
    let error = compile(&files).unwrap_err();
    assert!(matches!(error, RenderError::Encoding { .. }), "{error}");
}
