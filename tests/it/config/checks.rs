//! `config check` on what files say together: templates, languages, waves, the staff, the clock.

use super::{Desk, SCAFFOLD, changed};
use crate::harness::snapshot;

impl Desk {
    /// The campaign with a template of its own, of which there is this in English.
    fn template(&self, more: &[(&str, &str)], parts: &[(&str, &str)]) {
        let own = [("template = \"account-breach\"", "template = \"mine\"")];
        self.campaign(&[&own, more].concat());
        for (part, text) in parts {
            self.write(&format!("templates/mail/mine/en/{part}.hbs"), text);
        }
    }
}

#[test]
fn every_fault_of_a_template_is_told_in_one_run_and_once() {
    let desk = Desk::tidy();
    let body = "Hello {{person.nam}},\n{{#if person.onw}}\n{{shout brand.name}}\n{{/if}}\n\
                {{#each incident.summaries}}x{{/each}}{{count reference}}\n\
                {{> mail/partials/foot}}\n";
    desk.template(
        &[],
        &[
            ("subject.txt", "{{#if person.has_name}}For {{person.name}}{{/if}}"),
            ("body.txt", body),
            ("body.html", "<p>{{{brand.name}}}</p>{{> mail/partials/foot}}"),
            ("body.text", "a name that nobody reads"),
        ],
    );
    desk.write(
        "templates/mail/partials/foot.hbs",
        "{{contact.telephone}}\n{{> mail/partials/end}}",
    );
    desk.tells("template-faults");
}

#[test]
fn how_a_template_shows_the_personal_link_is_looked_at_in_mode_link_alone() {
    let desk = Desk::tidy();
    let page = "reset_url = \"https://www.northwind.example/reset\"\nsupport_email";
    desk.incident(&[("support_email", page)]);
    let parts = [
        ("subject.txt", "Notice"),
        ("body.txt", "{{#if reset.link}}\nOpen {{person.link}} now.\n{{/if}}\nNotice\n"),
        ("body.html", "<p>Notice</p>\n{{#if reset.link}}<p>{{person.link}}</p>{{/if}}\n"),
    ];
    desk.template(&[], &parts);
    assert!(desk.run(&["config", "check"]).status.success());
    desk.template(&[("mode = \"site\"", "mode = \"link\"")], &parts);
    desk.tells("link-untold");
}

#[test]
fn a_class_without_words_is_told_of_each_part() {
    let desk = Desk::tidy();
    let flags = ["expired", "changed_since", "no_password", "not_found", "exempt", "not_yet"];
    let tests: String = flags.map(|flag| format!("{{{{#if {flag}}}}}y{{{{/if}}}}")).concat();
    let text = format!("x\n{{{{#each credentials}}}}\n{tests}\n{{{{/each}}}}\n");
    let half = "{{#if renewed}}{{#if is_password}}y{{/if}}{{/if}}\n{{/each}}";
    let html = text.replace("{{/each}}", half);
    desk.template(&[], &[("subject.txt", "Notice"), ("body.txt", &text), ("body.html", &html)]);
    desk.tells("classes-untold");
}

#[test]
fn languages_that_are_needed_and_missing_are_told_with_who_lacks_them() {
    let desk = Desk::tidy();
    desk.campaign(&[
        ("locale = \"en\"", "locale = \"pt-BR\""),
        ("#require_locales = [\"fr\", \"pt\"]", "require_locales = [\"fr\", \"fi\", \"en-GB\"]"),
    ]);
    desk.tells("languages");
}

#[test]
fn waves_of_nobody_and_staff_that_cannot_be_waited_for_are_told() {
    let desk = Desk::tidy();
    let waves = "[[cohort]]\nname = \"brazil\"\nregions = [\"BR\"]\n\n\
                 [[wave]]\nname = \"first\"\ncohorts = [\"brasil\"]\n\n\
                 [[wave]]\nname = \"second\"\ncohorts = [\"europe\"]\n\n";
    let scaffold = SCAFFOLD.replace("SLUG", "cold-night");
    let with =
        |more: &str| changed(&scaffold, &[("# How fast. O", &format!("{more}# How fast. O"))]);
    let staff = |name: &str| format!("[staff]\ncampaign = \"{name}\"\n\n");
    desk.write("campaigns/thaw.toml", &with(&format!("{waves}{}", staff("staf"))));
    desk.write("campaigns/staff.toml", &with(&staff("staff")));
    desk.write("campaigns/spring.toml", &with(&staff("thaw")));
    desk.tells("cross-checks");
}

#[test]
fn what_may_be_meant_so_is_remarked_on_and_is_no_fault() {
    let desk = Desk::tidy();
    let late = "incident = \"cold-night\"\ndeadline = \"2018-09-08T21:45[Europe/London]\"";
    let waves = "[[cohort]]\nname = \"br\"\nregions = [\"BR\"]\n\n\
                 [[cohort]]\nname = \"fr\"\nregions = [\"FR\"]\n\n\
                 [[wave]]\nname = \"brazil\"\ncohorts = [\"br\"]\n\
                 deadline = \"2018-09-07T21:45[America/Sao_Paulo]\"\n\n# How fast. O";
    desk.campaign(&[("incident = \"cold-night\"", late), ("# How fast. O", waves)]);
    let output = desk.run(&["config", "check"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{talk}");
    assert!(talk.contains("the remarks are worth a look"), "{talk}");
    assert_eq!(told.matches("  help: ").count(), 3, "{told}");
    snapshot::same("config/remarks.txt", &told);
    let output = desk.run(&["config", "check", "--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let remarks = lines.lines().filter(|line| line.contains("\"remark\":true"));
    assert_eq!(remarks.count(), 3, "{lines}");
}
