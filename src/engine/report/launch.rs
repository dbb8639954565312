//! What a status shows of launch order and brakes.

use crate::engine::breaker::BreakerView;
use crate::engine::forecast::Forecast;
use crate::engine::gates::GateView;
use crate::engine::people::People;
use crate::engine::waves::WaveView;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;

/// Waves, gates, breaker and forecast.
#[derive(Default)]
pub(super) struct Launch {
    pub waves: Vec<WaveView>,
    pub gates: Vec<GateView>,
    pub breaker: Option<BreakerView>,
    pub forecast: Option<Forecast>,
}

impl Engine {
    /// Nothing where the file can be read neither as approved nor as it is: a status tells the sums all
    /// the same, and the next run says what is wrong.
    pub(super) async fn launch_views(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Launch, EngineError> {
        let Ok(file) = self.file_in_force(row, people).await else { return Ok(Launch::default()) };
        let is_approved = row.notice_digest.is_some();
        let left = self.notices_left(row.id).await?;
        let forecast = match (left, is_approved) {
            (0, _) => None,
            (_, true) => Some(self.forecast_of(row, &file, None).await?),
            (_, false) => {
                let plan = self.wave_plan(people, &file).await?;
                Some(self.forecast_of(row, &file, Some(&plan)).await?)
            }
        };
        Ok(Launch {
            waves: self.wave_views(people, &file).await?,
            gates: self.gate_views(people, &file).await?,
            breaker: Some(self.breaker_view(people, &file).await?),
            forecast,
        })
    }
}
