//! Logins between their second and third message: in memory only, since each holds a session key. A restart loses them
//! together with the tries spent on them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::suite::Exchange;

/// How long a phone may take from the second message to the third.
pub(super) const LIFE: Duration = Duration::from_secs(120);

/// A login that waits for its third message.
pub(super) struct Login<S = Exchange> {
    /// Who began it; nobody else may finish it.
    pub(super) device: String,
    /// Names the record that it is about.
    pub(super) credential: String,
    pub(super) exchange: S,
    /// The second message, for a phone that did not receive it.
    pub(super) ke2: String,
}

/// All of them by id.
pub(super) struct Logins<S = Exchange> {
    open: Mutex<HashMap<String, (Instant, Login<S>)>>,
}

impl<S> Default for Logins<S> {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
        }
    }
}

impl<S> Logins<S> {
    pub(super) fn put(&self, id: String, login: Login<S>, now: Instant) {
        let mut open = self.lock();
        // The same visit clears away what nobody finished.
        open.retain(|_, (begun, _)| now.saturating_duration_since(*begun) < LIFE);
        open.insert(id, (now, login));
    }

    /// The second message of a login that is still open.
    pub(super) fn ke2(&self, id: &str, now: Instant) -> Option<String> {
        let open = self.lock();
        let (begun, login) = open.get(id)?;
        (now.saturating_duration_since(*begun) < LIFE).then(|| login.ke2.clone())
    }

    /// The device's login. Whatever comes of it, it is gone afterwards; another device's stays.
    pub(super) fn take(&self, id: &str, device: &str, now: Instant) -> Option<Login<S>> {
        let mut open = self.lock();
        if open.get(id)?.1.device != device {
            return None;
        }
        let (begun, login) = open.remove(id)?;
        (now.saturating_duration_since(begun) < LIFE).then_some(login)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Instant, Login<S>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(device: &str) -> Login<()> {
        Login {
            device: device.to_owned(),
            credential: String::new(),
            exchange: (),
            ke2: "AB".to_owned(),
        }
    }

    #[test]
    fn a_login_is_good_once_and_for_its_device_only() {
        let (logins, now) = (Logins::default(), Instant::now());
        logins.put("a".into(), login("dev_1"), now);
        assert!(logins.take("a", "dev_2", now).is_none());
        assert_eq!(logins.ke2("a", now).as_deref(), Some("AB"));
        assert!(logins.take("a", "dev_1", now).is_some());
        assert!(logins.take("a", "dev_1", now).is_none());
        assert!(logins.ke2("a", now).is_none());
    }

    #[test]
    fn a_login_lives_two_minutes() {
        let (logins, begun) = (Logins::default(), Instant::now());
        let just = begun + LIFE - Duration::from_millis(1);
        logins.put("a".into(), login("dev_1"), begun);
        logins.put("b".into(), login("dev_1"), begun);
        assert!(logins.take("a", "dev_1", just).is_some());
        assert!(logins.ke2("b", begun + LIFE).is_none());
        assert!(logins.take("b", "dev_1", begun + LIFE).is_none());
        logins.put("c".into(), login("dev_1"), begun);
        logins.put("d".into(), login("dev_1"), begun + LIFE);
        assert_eq!(logins.lock().len(), 1);
    }
}
