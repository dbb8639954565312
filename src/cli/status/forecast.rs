//! The forecast as text.

use crate::cli::output::{count, harmless};
use crate::engine::forecast::{Forecast, ProviderForecast, WaveForecast};

/// When each provider, each wave and the last person will have been told, and what will be late.
pub(in crate::cli) fn forecast_lines(forecast: &Forecast) -> String {
    let mut lines = vec![format!(
        "Forecast from now, without refusals and the time people take\n{} notices at {}: the last is \
         told {}{}",
        count(forecast.notices),
        pace(forecast.per_second, forecast.per_day),
        at(forecast.finish.as_ref()),
        due(forecast.deadline.as_ref())
    )];
    let widest = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| name.chars().count()).max().unwrap_or(0)
    };
    let width = widest(&mut forecast.providers.iter().map(|one| &one.provider));
    lines.extend(forecast.providers.iter().map(|one| {
        let ProviderForecast { provider, notices, per_second, per_day, finish } = one;
        let each = if provider == "other" { " to each domain" } else { "" };
        let own = match (per_second, per_day) {
            (None, None) => String::new(),
            _ => format!(" at {}{each} at most", pace(*per_second, *per_day)),
        };
        format!("  {provider:width$}  {} notices{own}: {}", count(*notices), at(finish.as_ref()))
    }));
    if forecast.waves.len() > 1 {
        let width = widest(&mut forecast.waves.iter().map(|one| &one.name));
        lines.extend(forecast.waves.iter().map(|wave| {
            let WaveForecast { number, name, notices, finish, deadline, is_late } = wave;
            let late = if *is_late { " LATE" } else { "" };
            let (end, due) = (at(finish.as_ref()), due(deadline.as_ref()));
            format!("  wave {number} {name:width$}  {} notices: {end}{due}{late}", count(*notices))
        }));
    }
    lines.extend(forecast.warnings.iter().map(|warning| format!("warning: {warning}")));
    lines.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n")
}

/// Harmless, line by line.
fn clean(text: &str) -> String {
    text.lines().map(harmless).collect::<Vec<_>>().join("\n")
}

fn pace(per_second: Option<f64>, per_day: Option<u64>) -> String {
    let rate = per_second.map(|rate| format!("{rate} a second"));
    let quota = per_day.map(|quota| format!("{} a day", count(quota)));
    let both: Vec<String> = [rate, quota].into_iter().flatten().collect();
    if both.is_empty() { "whatever the relay takes".into() } else { both.join(", ") }
}

fn at(finish: Option<&String>) -> String {
    finish.map_or("in more than ten years".into(), |at| format!("by {at}"))
}

fn due(deadline: Option<&String>) -> String {
    deadline.map(|at| format!(", due {at}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forecast_names_providers_waves_and_what_is_late() {
        let wave = |number, name: &str, is_late: bool| WaveForecast {
            number,
            name: name.into(),
            notices: 500,
            finish: Some("2026-03-02T12:01:00Z".into()),
            deadline: is_late.then(|| "2026-03-02T12:00:00Z".into()),
            is_late,
        };
        let forecast = Forecast {
            notices: 24_000_000,
            per_second: Some(93.0),
            per_day: None,
            finish: None,
            deadline: Some("2026-03-05T12:00:00Z".into()),
            providers: vec![ProviderForecast {
                provider: "other".into(),
                notices: 1_000,
                per_second: Some(5.0),
                per_day: Some(9_000),
                finish: Some("2026-03-02T12:02:00Z".into()),
            }],
            waves: vec![wave(1, "canary", false), wave(2, "everyone else", true)],
            warnings: vec!["it is late; hint: hurry\u{1b}".into()],
        };
        assert_eq!(
            forecast_lines(&forecast),
            "Forecast from now, without refusals and the time people take\n\
             24,000,000 notices at 93 a second: the last is told in more than ten years, due \
             2026-03-05T12:00:00Z\n  \
             other  1,000 notices at 5 a second, 9,000 a day to each domain at most: by \
             2026-03-02T12:02:00Z\n  \
             wave 1 canary         500 notices: by 2026-03-02T12:01:00Z\n  \
             wave 2 everyone else  500 notices: by 2026-03-02T12:01:00Z, due 2026-03-02T12:00:00Z LATE\n\
             warning: it is late; hint: hurry\u{FFFD}"
        );
    }
}
