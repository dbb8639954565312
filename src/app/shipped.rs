//! The templates that ship with the program, by their names relative to `templates/`.

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        /// Every shipped file under `templates/mail`, and every page and text under `templates/portal`.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../templates/", $name)))),+];
    };
}

shipped![
    "mail/account-breach/de/body.html.hbs",
    "mail/account-breach/de/body.txt.hbs",
    "mail/account-breach/de/subject.txt.hbs",
    "mail/account-breach/en/body.html.hbs",
    "mail/account-breach/en/body.txt.hbs",
    "mail/account-breach/en/subject.txt.hbs",
    "mail/account-breach/es/body.html.hbs",
    "mail/account-breach/es/body.txt.hbs",
    "mail/account-breach/es/subject.txt.hbs",
    "mail/account-breach/fr/body.html.hbs",
    "mail/account-breach/fr/body.txt.hbs",
    "mail/account-breach/fr/subject.txt.hbs",
    "mail/account-breach/pt/body.html.hbs",
    "mail/account-breach/pt/body.txt.hbs",
    "mail/account-breach/pt/subject.txt.hbs",
    "mail/correction/de/body.html.hbs",
    "mail/correction/de/body.txt.hbs",
    "mail/correction/de/subject.txt.hbs",
    "mail/correction/en/body.html.hbs",
    "mail/correction/en/body.txt.hbs",
    "mail/correction/en/subject.txt.hbs",
    "mail/correction/es/body.html.hbs",
    "mail/correction/es/body.txt.hbs",
    "mail/correction/es/subject.txt.hbs",
    "mail/correction/fr/body.html.hbs",
    "mail/correction/fr/body.txt.hbs",
    "mail/correction/fr/subject.txt.hbs",
    "mail/correction/pt/body.html.hbs",
    "mail/correction/pt/body.txt.hbs",
    "mail/correction/pt/subject.txt.hbs",
    "mail/partials/de/address-note.hbs",
    "mail/partials/de/credential.hbs",
    "mail/partials/de/exposed-lead.hbs",
    "mail/partials/de/html-contact.hbs",
    "mail/partials/de/new-password-label.hbs",
    "mail/partials/de/new-password.hbs",
    "mail/partials/de/no-secret.hbs",
    "mail/partials/de/opening.hbs",
    "mail/partials/de/salutation.hbs",
    "mail/partials/de/secret.hbs",
    "mail/partials/de/subject.hbs",
    "mail/partials/de/text-contact.hbs",
    "mail/partials/de/the-secret.hbs",
    "mail/partials/en/address-note.hbs",
    "mail/partials/en/credential.hbs",
    "mail/partials/en/exposed-lead.hbs",
    "mail/partials/en/html-contact.hbs",
    "mail/partials/en/new-password-label.hbs",
    "mail/partials/en/new-password.hbs",
    "mail/partials/en/opening.hbs",
    "mail/partials/en/salutation.hbs",
    "mail/partials/en/secret.hbs",
    "mail/partials/en/subject.hbs",
    "mail/partials/en/text-contact.hbs",
    "mail/partials/en/the-secret.hbs",
    "mail/partials/es/address-note.hbs",
    "mail/partials/es/credential.hbs",
    "mail/partials/es/exposed-lead.hbs",
    "mail/partials/es/html-contact.hbs",
    "mail/partials/es/new-password-label.hbs",
    "mail/partials/es/new-password.hbs",
    "mail/partials/es/no-secret.hbs",
    "mail/partials/es/opening.hbs",
    "mail/partials/es/salutation.hbs",
    "mail/partials/es/secret.hbs",
    "mail/partials/es/subject.hbs",
    "mail/partials/es/text-contact.hbs",
    "mail/partials/es/the-secret.hbs",
    "mail/partials/fr/address-note.hbs",
    "mail/partials/fr/credential.hbs",
    "mail/partials/fr/exposed-lead.hbs",
    "mail/partials/fr/html-contact.hbs",
    "mail/partials/fr/new-password-label.hbs",
    "mail/partials/fr/new-password.hbs",
    "mail/partials/fr/no-secret.hbs",
    "mail/partials/fr/opening.hbs",
    "mail/partials/fr/salutation.hbs",
    "mail/partials/fr/secret.hbs",
    "mail/partials/fr/subject.hbs",
    "mail/partials/fr/text-contact.hbs",
    "mail/partials/fr/the-secret.hbs",
    "mail/partials/pt/address-note.hbs",
    "mail/partials/pt/credential.hbs",
    "mail/partials/pt/exposed-lead.hbs",
    "mail/partials/pt/html-contact.hbs",
    "mail/partials/pt/new-password-label.hbs",
    "mail/partials/pt/new-password.hbs",
    "mail/partials/pt/no-secret.hbs",
    "mail/partials/pt/opening.hbs",
    "mail/partials/pt/salutation.hbs",
    "mail/partials/pt/secret.hbs",
    "mail/partials/pt/subject.hbs",
    "mail/partials/pt/text-contact.hbs",
    "mail/partials/pt/the-secret.hbs",
    "portal/mail/answer.hbs",
    "portal/mail/code.hbs",
    "portal/mail/confirmation.hbs",
    "portal/page/code.hbs",
    "portal/page/done.hbs",
    "portal/page/layout.hbs",
    "portal/page/message.hbs",
    "portal/page/notice.hbs",
    "portal/page/password.hbs",
    "portal/page/questions.hbs",
    "portal/page/start.hbs",
    "portal/page/verify.hbs",
    "portal/page/wait.hbs",
    "portal/texts/de.toml",
    "portal/texts/en.toml",
    "portal/texts/es.toml",
    "portal/texts/fr.toml",
    "portal/texts/pt.toml",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn files(folder: &Path, found: &mut Vec<String>) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path.strip_prefix(&root).unwrap().display().to_string());
            }
        }
    }

    #[test]
    fn no_template_is_forgotten() {
        let mut there = Vec::new();
        for folder in ["mail", "portal/mail", "portal/page", "portal/texts"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(folder);
            files(&folder, &mut there);
        }
        there.sort();
        let shipped: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        assert_eq!(shipped, there);
    }
}
