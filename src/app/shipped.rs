//! The templates that ship with the program, by their names relative to `templates/`.

macro_rules! shipped {
    ($($name:literal),+ $(,)?) => {
        /// Every shipped file under `templates/mail`.
        pub const SHIPPED: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../templates/", $name)))),+];
    };
}

shipped![
    "mail/account-breach/en/body.html.hbs",
    "mail/account-breach/en/body.txt.hbs",
    "mail/account-breach/en/subject.txt.hbs",
    "mail/correction/en/body.html.hbs",
    "mail/correction/en/body.txt.hbs",
    "mail/correction/en/subject.txt.hbs",
    "mail/partials/en/credential.hbs",
    "mail/partials/en/html-contact.hbs",
    "mail/partials/en/secret.hbs",
    "mail/partials/en/text-contact.hbs",
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
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/mail"), &mut there);
        there.sort();
        let shipped: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        assert_eq!(shipped, there);
    }
}
