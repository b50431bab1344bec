//! The support desk's overrides of the policy.

use serde_json::{Map, Value};
use sqlx::Row;

use super::Store;

const NAME: &str = "policy_overrides";

impl Store {
    /// The overrides; none when the desk never touched the policy.
    pub(crate) async fn overrides(&self) -> anyhow::Result<Map<String, Value>> {
        read(self.db.setting(NAME).await?.as_deref())
    }

    /// Changes the overrides by `change`, unless it refuses them.
    pub(crate) async fn change_overrides<T>(
        &self,
        change: impl FnOnce(&mut Map<String, Value>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut work = self.db.begin().await?;
        let row = sqlx::query("SELECT value FROM kit_settings WHERE name = $1")
            .bind(NAME)
            .fetch_optional(&mut *work)
            .await?;
        let text: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
        let mut overrides = read(text.as_deref())?;
        let outcome = change(&mut overrides)?;
        sqlx::query("INSERT INTO kit_settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(NAME)
            .bind(serde_json::to_string(&overrides)?)
            .execute(&mut *work)
            .await?;
        work.commit().await?;
        Ok(outcome)
    }
}

fn read(text: Option<&str>) -> anyhow::Result<Map<String, Value>> {
    Ok(match text {
        Some(text) => serde_json::from_str(text)?,
        None => Map::new(),
    })
}
