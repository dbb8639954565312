//! Why a template is refused or can't be rendered; always with the file, and the place where known.

use std::fmt;

/// A place in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name in the approved set, such as `mail/account-breach/en/body.txt.hbs`.
    pub template: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.template, self.line, self.column)
    }
}

/// Everything that can go wrong between template bytes and a finished notice.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No file of the set belongs to the notice.
    #[error(
        "no template under mail/{notice}/<locale>/; hint: name a notice that has a folder under templates/mail"
    )]
    UnknownNotice {
        /// The notice asked for.
        notice: String,
    },
    /// A locale lacks one of its three parts.
    #[error(
        "{template} is missing; hint: every locale has subject.txt.hbs, body.txt.hbs and body.html.hbs"
    )]
    MissingPart {
        /// The file's name.
        template: String,
    },
    /// A file that nothing will ever read, most often a misspelt name.
    #[error(
        "{template} is no part of a notice; hint: name it subject.txt.hbs, body.txt.hbs or body.html.hbs, or move it to mail/partials/"
    )]
    StrayFile {
        /// The file's name.
        template: String,
    },
    /// Bytes that are no UTF-8.
    #[error(
        "{template} is not UTF-8: {source}; hint: `iconv -f WINDOWS-1252 -t UTF-8`, where an older Windows program wrote it"
    )]
    Encoding {
        /// The file's name.
        template: String,
        /// Where the first wrong byte is.
        #[source]
        source: std::str::Utf8Error,
    },
    /// Not handlebars.
    #[error(
        "{place}: {message}; hint: each {{{{ needs its }}}}, each {{{{#if}}}} and {{{{#each}}}} its {{{{/if}}}} and {{{{/each}}}}"
    )]
    Syntax {
        /// Where.
        place: Place,
        /// The parser's words.
        message: String,
    },
    /// `{{word …}}` or `{{#word …}}` that is none of ours.
    #[error(
        "{place}: unknown helper `{helper}`; hint: known are date, list, number, count, plural, length, #if, #unless, #each, and, or, not"
    )]
    UnknownHelper {
        /// Where.
        place: Place,
        /// The name used.
        helper: String,
    },
    /// `{{> name}}` without a file.
    #[error(
        "{place}: no partial `{partial}`; hint: it would be the file {partial}.hbs, under mail/partials/"
    )]
    MissingPartial {
        /// Where.
        place: Place,
        /// The name used.
        partial: String,
    },
    /// A partial that includes itself, directly or through others.
    #[error(
        "{place}: partial `{partial}` includes itself; hint: take the {{{{> …}}}} out that leads back to it"
    )]
    EndlessPartial {
        /// Where.
        place: Place,
        /// The name used.
        partial: String,
    },
    /// `{{{x}}}` or `{{&x}}`: in HTML a name could then carry markup.
    #[error("{place}: unescaped output is not allowed in HTML; hint: write it with two braces")]
    RawOutput {
        /// Where.
        place: Place,
    },
    /// A path no context has, also in a condition.
    #[error(
        "{place}: unknown field `{path}`; hint: the fields there are {known}, and inside #each the others are reached by @root"
    )]
    UnknownPath {
        /// Where.
        place: Place,
        /// The path as written.
        path: String,
        /// The fields where the path leaves the known ones.
        known: String,
    },
    /// A field printed where it can be empty.
    #[error(
        "{place}: `{path}` prints nothing sensible for the variant `{variant}`; hint: put it inside {{{{#if {path}}}}}, or use the list helper or #each for a list"
    )]
    NothingToPrint {
        /// Where.
        place: Place,
        /// The path as written.
        path: String,
        /// The sample in which it is empty, a list, a group or a yes/no.
        variant: String,
    },
    /// A list no sample fills, so that nothing inside the block could be checked.
    #[error(
        "{place}: `{path}` is no list, or one that is always empty; hint: {{{{#if}}}} is for what is no list"
    )]
    NoList {
        /// Where.
        place: Place,
        /// The path as written.
        path: String,
    },
    /// Handlebars that could say one thing at plan and another when sent.
    #[error(
        "{place}: {what} is not supported in notices; hint: write it with fields, {{{{#if}}}}, {{{{#each}}}} and {{{{> partial}}}}"
    )]
    Unsupported {
        /// Where.
        place: Place,
        /// What was used.
        what: &'static str,
    },
    /// A helper that can't work with what it was given.
    #[error("{place}: {message}")]
    BadArgument {
        /// Where.
        place: Place,
        /// The sample, the helper, what it expects, and a hint.
        message: String,
    },
    /// The template speaks of credentials but would be silent, or wrong, for one class.
    #[error("{template} has no block for `{flag}`; hint: test it inside {{{{#each credentials}}}}")]
    MissingBlock {
        /// The file's name.
        template: String,
        /// The flag nothing tests.
        flag: &'static str,
    },
    /// The template tests the class, but prints nothing for it in one of the variants.
    #[error(
        "{template} says nothing of `{flag}` in the variant `{variant}`; hint: inside {{{{#each credentials}}}}, give {{{{#if {flag}}}}} words for everybody"
    )]
    ClassUntold {
        /// The file's name.
        template: String,
        /// The flag of the class.
        flag: &'static str,
        /// The sample.
        variant: String,
    },
    /// The template has no words for a kind of person it would be sent to.
    #[error(
        "{template} (locale `{locale}`) has no words for `{flag}`, which some of these people need; hint: test {{{{#if person.{flag}}}}} in it, as the shipped `account-breach` does"
    )]
    MissingVariant {
        /// The file's name.
        template: String,
        /// The language.
        locale: String,
        /// The flag nothing tests.
        flag: &'static str,
    },
    /// A person whose language the notice was not prepared in.
    #[error(
        "the notice `{notice}` is not written in `{locale}`; hint: write templates/mail/{notice}/{locale}/"
    )]
    UnknownLocale {
        /// The notice.
        notice: String,
        /// The language asked for.
        locale: String,
    },
    /// A person with exposed credentials and a template that never mentions them.
    #[error(
        "the notice `{notice}` says nothing of credentials, and this person's were exposed; hint: \
         {{{{> mail/partials/<locale>/credential}}}}, as the shipped `account-breach` does"
    )]
    CredentialsUntold {
        /// The notice.
        notice: String,
    },
    /// In mode `link`, a part that does not show the person's link as it must be shown.
    #[error(
        "{template} must show the person's link {how}, but does not for the variant `{variant}`; hint: {hint}"
    )]
    LinkUntold {
        /// The file's name.
        template: String,
        /// What is demanded.
        how: &'static str,
        /// The sample.
        variant: String,
        /// How to write it.
        hint: &'static str,
    },
    /// A subject without a visible character.
    #[error(
        "{template} gives an empty subject for the variant `{variant}`; hint: give it words outside of any {{{{#if}}}}"
    )]
    EmptySubject {
        /// The file's name.
        template: String,
        /// The sample.
        variant: String,
    },
    /// The facts could not be turned into JSON.
    #[error("the facts of the notice can't be prepared")]
    Context(#[source] serde_json::Error),
    /// Handlebars refused at the time of rendering.
    #[error("{template} can't be rendered (line {line}): {source}", line = source.line_no.unwrap_or(0))]
    Render {
        /// The file's name.
        template: String,
        /// Handlebars' own error.
        #[source]
        source: Box<handlebars::RenderError>,
    },
}

impl RenderError {
    /// Where it is, if a place within a file is known.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Syntax { place, .. }
            | Self::UnknownHelper { place, .. }
            | Self::MissingPartial { place, .. }
            | Self::EndlessPartial { place, .. }
            | Self::RawOutput { place }
            | Self::UnknownPath { place, .. }
            | Self::NothingToPrint { place, .. }
            | Self::NoList { place, .. }
            | Self::Unsupported { place, .. }
            | Self::BadArgument { place, .. } => Some(place),
            _ => None,
        }
    }

    /// The file it is in, where no place within it is known, and words near which it may be mended.
    pub fn near(&self) -> Option<(&str, &'static str)> {
        match self {
            Self::MissingBlock { template, .. } | Self::ClassUntold { template, .. } => {
                Some((template, "{{#each credentials}}"))
            }
            Self::LinkUntold { template, .. } => Some((template, "{{person.link}}")),
            Self::MissingPart { template }
            | Self::StrayFile { template }
            | Self::Encoding { template, .. }
            | Self::MissingVariant { template, .. }
            | Self::EmptySubject { template, .. }
            | Self::Render { template, .. } => Some((template, "")),
            _ => None,
        }
    }
}
