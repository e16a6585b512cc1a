//! `[overload]`.

use crate::{control::raw::sections::Root, overload::Settings};

/// What it says. `None`: something is wrong, which has been said; `Some(None)`: nothing is ever shed.
pub(super) fn validate(root: &Root) -> Option<Option<Settings>> {
    let raw = root.overload.value.as_ref()?;
    let interval = raw.interval.value?;
    Some(raw.max_lag.value?.map(|max_lag| Settings { max_lag, interval }))
}
