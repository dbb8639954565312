//! Plans: what exactly would be approved, gathered from files and stored content-addressed (protocol §2).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::campaign_file::{self, CampaignFile, DirectorySection};
use super::census::Census;
use super::notice::NoticeWriter;
use super::people::People;
use super::progress::{Progress, Silent};
use super::{Engine, EngineError, Workspace};
use crate::domain::credential::CredentialKind;
use crate::domain::incident::{Incident, IncidentError};
use crate::domain::ledger::Entry;
use crate::domain::problem::Problem;
use crate::domain::snapshot::Snapshot;
use crate::domain::track::Track;
use crate::secret::digest::{Digest, LpBuilder, sha256};
use crate::store::campaigns::CampaignRow;
use crate::store::plans::SnapshotRow;

/// The bytes of a plan, by the name the operator knows them under.
pub type Parts = BTreeMap<String, Vec<u8>>;

/// The statements that a preset came to when it was planned.
pub(super) const PRESET_PART: &str = "directory preset's statements";

/// A plan, stored or not.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Which track.
    pub track: Track,
    /// Its digest: what two people sign.
    pub digest: Digest,
    /// Names and digests.
    pub snapshot: Snapshot,
    /// People it is for.
    pub head_count: u64,
    /// What is exposed and will be expired.
    pub kinds: Vec<CredentialKind>,
    /// What an operator should know before they sign.
    pub notes: Vec<String>,
    /// Who a notice would go to; none for containment, and where it was not asked for.
    pub census: Option<Census>,
}

/// The digest of a snapshot: SHA-256 over the sorted list of (name, SHA-256), lengths before both.
pub fn digest_of(snapshot: &Snapshot) -> Digest {
    let list = snapshot.0.iter().fold(LpBuilder::new(), |list, (name, digest)| {
        list.lp(name.as_bytes()).lp(digest.as_bytes())
    });
    sha256(&list.finish())
}

/// A snapshot of these parts.
pub fn snapshot_of(parts: &Parts) -> Snapshot {
    Snapshot(parts.iter().map(|(name, bytes)| (name.clone(), sha256(bytes).to_string())).collect())
}

/// A notice to be planned or looked at.
pub(super) struct NoticeDraft {
    /// The parts of its snapshot.
    pub parts: Parts,
    /// What they were read from.
    pub files: Files,
    /// What writes it.
    pub writer: NoticeWriter,
}

/// A campaign's files as they are now.
pub(super) struct Files {
    pub campaign: CampaignFile,
    pub incident: Incident,
    campaign_text: String,
    incident_text: String,
    campaign_name: String,
    incident_name: String,
}

impl Engine {
    pub(super) fn files(&self, name: &str) -> Result<Files, EngineError> {
        let (path, campaign_name) = self.workspace.campaign_file(name);
        let Some(campaign_text) = self.own_text(&path, &campaign_name)? else {
            return Err(no_campaign_file(name, &campaign_name));
        };
        let (campaign, problems) = CampaignFile::read(&campaign_text, &campaign_name);
        let slug = campaign.as_ref().map(|campaign| campaign.incident.clone());
        let slug = slug.filter(|_| problems.is_sound("incident"));
        let mut problems = problems.into_list();
        let Some((campaign, slug)) = campaign.zip(slug) else { return Err(problems.into()) };
        let (path, incident_name) = self.workspace.incident_file(&slug);
        let Some(incident_text) = self.own_text(&path, &incident_name)? else {
            problems.push(Problem::of(&campaign_name, &no_incident(&slug, &incident_name)));
            return Err(problems.into());
        };
        let incident = match Incident::parse(&incident_text, &incident_name) {
            Err(IncidentError::Problems(more)) => {
                problems.take(more);
                return Err(problems.into());
            }
            other => other?,
        };
        if !problems.is_empty() {
            return Err(problems.into());
        }
        Ok(Files { campaign, incident, campaign_text, incident_text, campaign_name, incident_name })
    }

    /// A file of the operator's; `None` where there is none.
    pub(super) fn own_text(&self, path: &Path, name: &str) -> Result<Option<String>, EngineError> {
        Ok(self.workspace.own_text(path, name)?)
    }

    /// The files of a campaign, where they are of the world its people were sealed for.
    fn files_of(&self, row: &CampaignRow) -> Result<Files, EngineError> {
        let files = self.files(&row.name)?;
        if files.campaign.environment != row.environment {
            return Err(EngineError::refused(format!(
                "`{}` says environment {}, but its people were sealed for {}; hint: a campaign \
                 keeps its world, write another file",
                files.campaign_name, files.campaign.environment, row.environment
            )));
        }
        Ok(files)
    }

    /// The parts of a plan as the files are now; samples are rendered for a notice.
    pub(super) async fn parts(
        &self,
        row: &CampaignRow,
        people: &People,
        track: Track,
    ) -> Result<Parts, EngineError> {
        match track {
            Track::Containment => containment_parts(row, &self.files_of(row)?),
            Track::Notice => Ok(self.notice_plan(row, people).await?.parts),
        }
    }

    /// A notice as the files are now, without its samples.
    pub(super) fn notice_draft(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<NoticeDraft, EngineError> {
        let files = self.files_of(row)?;
        let mut parts = self.notice_parts(&files)?;
        parts.insert("environment".into(), row.environment.word().into());
        let writer = NoticeWriter::new(self, people, &parts)?;
        Ok(NoticeDraft { parts, files, writer })
    }

    /// The same, complete.
    async fn notice_plan(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<NoticeDraft, EngineError> {
        let mut draft = self.notice_draft(row, people)?;
        self.check_expectation(row, &draft.files.campaign).await?;
        let samples = self.samples(row, people, &draft.writer).await?;
        draft.parts.insert("samples".into(), samples);
        Ok(draft)
    }

    fn notice_parts(&self, files: &Files) -> Result<Parts, EngineError> {
        let mut parts = Parts::new();
        parts.insert(
            files.campaign_name.clone(),
            campaign_file::canonical(&files.campaign_text, &files.campaign_name)?,
        );
        parts.insert(files.incident_name.clone(), files.incident_text.clone().into_bytes());
        parts.insert("relay".into(), self.relay_part());
        let templates = self.template_files(&files.campaign.notice.template)?;
        parts.extend(
            templates.into_iter().map(|(name, bytes)| (format!("templates/{name}"), bytes)),
        );
        Ok(parts)
    }

    /// The relay's identity as a notice snapshot holds it.
    pub(super) fn relay_part(&self) -> Vec<u8> {
        let relay = json!({
            "host": self.relay.host, "port": self.relay.port, "hello": self.relay.hello.as_str(),
            "tls": self.relay.tls.word(), "user": self.relay.auth.user,
        });
        relay.to_string().into_bytes()
    }

    fn template_files(&self, template: &str) -> Result<Parts, EngineError> {
        template_files(&self.workspace, self.shipped_templates, template)
    }

    /// Gathers, checks and (unless `check_only`) stores a plan.
    pub async fn plan(
        &self,
        name: &str,
        track: Track,
        check_only: bool,
    ) -> Result<Plan, EngineError> {
        self.plan_with(name, track, check_only, Some(&Silent)).await
    }

    /// The same, telling how far it is; without progress nobody is counted, for whoever only shows what
    /// was counted when it was planned.
    pub async fn plan_with(
        &self,
        name: &str,
        track: Track,
        check_only: bool,
        progress: Option<&dyn Progress>,
    ) -> Result<Plan, EngineError> {
        let (row, people) = self.people(name).await?;
        let seal = self.store.live_seal(row.id).await?.ok_or_else(|| not_sealed(name))?;
        let (mut notes, mut census) = (Vec::new(), None);
        let (parts, files) = match track {
            Track::Containment => {
                let files = self.files_of(&row)?;
                let section = files.campaign.directory.as_ref();
                notes.extend(section.into_iter().flat_map(|it| Self::statement_notes(it, &files)));
                let parts = containment_parts(&row, &files)?;
                let reports = self.check_statements(&row, &people, &files).await?;
                Self::check_trial(&files.incident.exposed().credentials, section, &reports)?;
                (parts, files)
            }
            Track::Notice => {
                let NoticeDraft { parts, files, writer } = self.notice_plan(&row, &people).await?;
                self.check_staff(name, &files.campaign).await?;
                if let Some(progress) = progress {
                    let heads = seal.totals.sealed;
                    census = Some(self.census(&people, &writer, heads, progress).await?);
                }
                (parts, files)
            }
        };
        let snapshot = snapshot_of(&parts);
        let digest = digest_of(&snapshot);
        let plan = Plan {
            track,
            digest,
            snapshot: snapshot.clone(),
            head_count: seal.totals.sealed,
            kinds: files.incident.exposed().credentials.clone(),
            notes,
            census,
        };
        if check_only {
            return Ok(plan);
        }
        let entry = Entry::Planned {
            campaign: people.ledger_name(),
            track: track.word(),
            snapshot: digest.to_string(),
        };
        let now = self.clock.now();
        let stored = SnapshotRow { digest: *digest.as_bytes(), snapshot, planned_at: now };
        let blobs = parts.into_values().map(|bytes| (*sha256(&bytes).as_bytes(), bytes)).collect();
        self.store.store_snapshot(row.id, track, stored, blobs, vec![entry.line(now)]).await?;
        Ok(plan)
    }
}

/// The templates of a notice: the shipped ones, then the workspace's own over them.
pub fn template_files(
    workspace: &Workspace,
    shipped: &[(&str, &str)],
    template: &str,
) -> Result<Parts, EngineError> {
    let wanted = [format!("mail/{template}/"), "mail/partials/".to_owned()];
    let files = files_below(workspace, shipped, &wanted)?;
    if !files.keys().any(|name| name.starts_with(&wanted[0])) {
        return Err(EngineError::refused(format!(
            "there is no template `{template}`; hint: `notice.template` names a folder under \
             `templates/mail/`, and `account-breach` ships with the program"
        )));
    }
    Ok(files)
}

/// The files in these folders of `templates/`: the shipped ones, and the workspace's own in their stead.
pub(super) fn files_below(
    workspace: &Workspace,
    shipped: &[(&str, &str)],
    wanted: &[String],
) -> Result<Parts, EngineError> {
    let is_wanted = |name: &str| wanted.iter().any(|prefix| name.starts_with(prefix.as_str()));
    let mut files: Parts = shipped
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
        .collect();
    let root = workspace.templates();
    for prefix in wanted {
        collect(&root, &root.join(prefix), &mut files)?;
    }
    Ok(files)
}

/// The words for a campaign whose file is not there.
pub(super) fn no_campaign_file(name: &str, file: &str) -> EngineError {
    EngineError::refused(format!(
        "there is no `{file}`; hint: write it, or start from `forthwith campaign new {name}`"
    ))
}

/// The words for an incident whose file is not there.
pub fn no_incident(slug: &str, file: &str) -> String {
    format!("there is no `{file}`; hint: `forthwith incident new {slug}`")
}

/// The refusal for a campaign without people.
pub(super) fn not_sealed(name: &str) -> EngineError {
    EngineError::refused(format!(
        "campaign `{name}` has no sealed people yet; hint: run `forthwith audience seal {name}`"
    ))
}

fn containment_parts(row: &CampaignRow, files: &Files) -> Result<Parts, EngineError> {
    if files.incident.exposed().credentials.is_empty() {
        return Err(EngineError::refused(format!(
            "`{}` names no exposed credentials, so there is nothing to contain; \
             hint: `exposed.credentials = [\"password\"]`",
            files.incident_name
        )));
    }
    let table: toml::Table = toml::from_str(&files.campaign_text)
        .map_err(|error| EngineError::refused(format!("`{}`: {error}", files.campaign_name)))?;
    let directory = table.get("directory").ok_or_else(|| {
        EngineError::refused(format!(
            "`{}` names no directory, but credentials were exposed; hint: add [directory]",
            files.campaign_name
        ))
    })?;
    let directory = serde_json::to_value(directory)
        .map_err(|error| EngineError::Broken(format!("[directory] as JSON: {error}")))?;
    let exposed = json!({
        "credentials": files.incident.exposed().credentials,
        "window_until": files.incident.window().until.timestamp().to_string(),
    });
    let preset = files.campaign.directory.as_ref().and_then(DirectorySection::preset_statements);
    let preset = preset.map(|text| (PRESET_PART.to_owned(), text.into_bytes()));
    Ok(preset
        .into_iter()
        .chain([
            (format!("{} [directory]", files.campaign_name), directory.to_string().into_bytes()),
            (
                format!("{} [exposed.credentials, window]", files.incident_name),
                exposed.to_string().into_bytes(),
            ),
            ("environment".into(), row.environment.word().into()),
        ])
        .collect())
}

/// Adds every file under `folder` by its path relative to `root`.
fn collect(root: &Path, folder: &Path, files: &mut Parts) -> Result<(), EngineError> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(EngineError::file(folder))?,
    };
    for entry in entries {
        let path = entry.map_err(EngineError::file(folder))?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let is_text = name.starts_with("portal/texts/");
        if is_text || path.extension().is_some_and(|ending| ending == "hbs") {
            files.insert(name, std::fs::read(&path).map_err(EngineError::file(&path))?);
        }
    }
    Ok(())
}
