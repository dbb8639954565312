//! What a campaign's file says, held against the incident, the other campaigns, the relay and the clock.

use super::Look;
use crate::domain::loopback::is_loopback_host;
use crate::domain::problem::nearest;
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;
use crate::domain::zoned::ZonedInstant;
use crate::engine::campaign_file::{CampaignFile, Mode};
use crate::engine::plan::no_incident;

impl Look<'_> {
    pub(super) fn campaign(&mut self, name: &str) {
        let (path, file) = self.workspace.campaign_file(name);
        let Some(text) = self.text(&path, &file) else { return };
        let (campaign, mut problems) = CampaignFile::read(&text, &file);
        if let Some(campaign) = &campaign {
            self.check_incident(campaign, &mut problems);
            self.check_relay(campaign, &mut problems);
            self.check_staff(name, campaign, &mut problems);
            check_cohorts(campaign, &mut problems);
            self.check_template(campaign, &mut problems);
            let mut remarks = Problems::of(&file, &text, "");
            // a broken line is a fault, told already
            if remarks.is_empty() {
                self.remark_on_dates(campaign, &problems, &mut remarks);
                remark_on_cohorts(campaign, &problems, &mut remarks);
                self.findings.remarks.take(remarks.into_list());
            }
        }
        self.findings.problems.take(problems.into_list());
    }

    fn check_incident(&self, campaign: &CampaignFile, problems: &mut Problems<'_>) {
        let slug = campaign.incident.as_str();
        match self.incidents.get(slug) {
            Some(Some(incident)) if problems.is_sound("incident") => {
                campaign.check_against(incident, problems);
            }
            // an incident that cannot be read is listed for itself
            Some(_) => {}
            None => {
                let (_, file) = self.workspace.incident_file(slug);
                let near = nearest(slug, self.incidents.keys().map(String::as_str));
                let text = near.map_or_else(
                    || no_incident(slug, &file),
                    |near| format!("there is no `{file}`; hint: did you mean `{near}`?"),
                );
                problems.at("incident", text);
            }
        }
    }

    /// A rehearsal whose relay is not this machine's would be refused when it runs.
    fn check_relay(&self, campaign: &CampaignFile, problems: &mut Problems<'_>) {
        let Some(host) = &self.relay_host else { return };
        if campaign.environment == Environment::Rehearsal && !is_loopback_host(host) {
            problems.at(
                "environment",
                format!(
                    "this is a rehearsal, and `relay.host` is `{host}`: a rehearsal sends to this \
                     machine only; hint: start `forthwith sink` and set relay.host = \"127.0.0.1\", \
                     or environment = \"live\" if these are the living"
                ),
            );
        }
    }

    /// The staff's campaign, as a plan demands it: there, another one, and silent on passwords.
    fn check_staff(&self, name: &str, campaign: &CampaignFile, problems: &mut Problems<'_>) {
        let Some(staff) = campaign.staff.as_ref().map(|staff| staff.campaign.as_str()) else {
            return;
        };
        if staff == name {
            return problems.at(
                "staff.campaign",
                format!(
                    "`{name}` waits for itself: `staff.campaign` is its own name; hint: the staff are \
                     a campaign of their own, `forthwith campaign new staff --incident {}`",
                    campaign.incident
                ),
            );
        }
        let (path, file) = self.workspace.campaign_file(staff);
        let Ok(text) = std::fs::read_to_string(&path) else {
            let all = super::campaigns(self.workspace);
            let near = nearest(staff, all.iter().map(String::as_str).filter(|near| *near != name));
            let hint = near.map_or_else(
                || format!("`forthwith campaign new {staff} --incident {}`", campaign.incident),
                |near| format!("did you mean `{near}`?"),
            );
            return problems.at(
                "staff.campaign",
                format!("`{name}` waits for the staff campaign `{staff}`, and there is no `{file}`; hint: {hint}"),
            );
        };
        let (found, found_problems) = CampaignFile::read(&text, &file);
        let is_read = found_problems.is_sound("notice.mode");
        if found.is_some_and(|found| is_read && found.notice.mode != Mode::None) {
            problems.at(
                "staff.campaign",
                format!(
                    "the staff campaign `{staff}` speaks of new passwords; hint: `mode = \"none\"` in \
                     its [notice], since staff are told what happened, not what to do as customers"
                ),
            );
        }
    }

    /// Instants that are over. Files stay when a campaign is closed, so this is no fault.
    fn remark_on_dates(
        &self,
        campaign: &CampaignFile,
        problems: &Problems<'_>,
        remarks: &mut Problems<'_>,
    ) {
        let own = std::iter::once(("deadline".to_owned(), campaign.deadline.as_ref()));
        let waves = campaign.waves.iter().enumerate();
        let waves = waves.map(|(at, wave)| (format!("wave.{at}.deadline"), wave.deadline.as_ref()));
        let is_over = |instant: &ZonedInstant| instant.timestamp() < self.now;
        for (key, deadline) in own.chain(waves) {
            let Some(deadline) = deadline.filter(|deadline| is_over(deadline)) else { continue };
            if problems.is_sound(&key) {
                remarks.at(
                    &key,
                    format!(
                        "this deadline has passed ({deadline}); hint: fine where the campaign is over, \
                         else look at its date and zone"
                    ),
                );
            }
        }
    }
}

/// Cohorts that waves name and nobody is in.
fn check_cohorts(campaign: &CampaignFile, problems: &mut Problems<'_>) {
    let known: Vec<&str> = campaign.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
    let names = (0..known.len()).map(|at| format!("cohort.{at}.name"));
    // one whose name was not read may be the one that is meant
    let is_sure =
        problems.is_sound("cohort") && names.into_iter().all(|key| problems.is_sound(&key));
    for (place, wave) in campaign.waves.iter().enumerate().filter(|_| is_sure) {
        for (item, cohort) in wave.cohorts.iter().enumerate() {
            if known.contains(&cohort.as_str()) || cohort == crate::domain::wave::CANARY {
                continue;
            }
            let hint = nearest(cohort, known.iter().copied()).map_or_else(
                || format!("a [[cohort]] with `name = \"{cohort}\"` and its `regions`"),
                |near| format!("did you mean `{near}`?"),
            );
            problems.at(
                &format!("wave.{place}.cohorts.{item}"),
                format!(
                    "wave `{}` names cohort `{cohort}`, which no [[cohort]] is called: nobody would be \
                     in it; hint: {hint}",
                    wave.name
                ),
            );
        }
    }
}

/// Cohorts that no wave names: they come last, together with everybody else.
fn remark_on_cohorts(campaign: &CampaignFile, problems: &Problems<'_>, remarks: &mut Problems<'_>) {
    for (at, cohort) in campaign.cohorts.iter().enumerate() {
        let key = format!("cohort.{at}.name");
        let is_named = campaign.waves.iter().any(|wave| wave.cohorts.contains(&cohort.name));
        if !is_named && problems.is_sound(&key) && problems.is_sound("wave") {
            remarks.at(
                &key,
                format!(
                    "no wave names cohort `{name}`, so its people come last, with everybody whom no \
                     wave names; hint: `cohorts = [\"{name}\"]` in a [[wave]] gives them a place",
                    name = cohort.name
                ),
            );
        }
    }
}
