//! What of a request its answer depends on, and the patterned answer that it asks for.
use super::{
    answer::{Ending, Key, Persistence},
    route::{DEFAULT_BODY_BYTES, Route},
};

/// What of a request its answer depends on, apart from its path and body.
pub(super) struct Asked {
    pub(super) to_head: bool,
    pub(super) is_11: bool,
    pub(super) keep_alive: bool,
}

impl Asked {
    pub(super) fn persistence(&self) -> Persistence {
        match (self.keep_alive, self.is_11) {
            (true, true) => Persistence::Silent,
            (true, false) => Persistence::KeepAlive,
            (false, _) => Persistence::Close,
        }
    }
}

/// The patterned answer a route asks for, if it is one; a body that only closing can end clears `keep_alive`.
pub(super) fn key_for(route: Route, asked: &mut Asked) -> Option<Key> {
    let (status, body_bytes, ending) = match route {
        Route::Bytes(n) => (200, n, Ending::Length),
        Route::Chunked(n) if asked.is_11 => (200, n, Ending::Chunked),
        Route::Chunked(n) | Route::Close(n) => (200, n, Ending::Close),
        Route::Status(status) => (status, DEFAULT_BODY_BYTES, Ending::Length),
        Route::Delay(_) => (200, DEFAULT_BODY_BYTES, Ending::Length),
        Route::Headers | Route::Echo | Route::Upload | Route::Stats | Route::Unknown => return None,
    };
    asked.keep_alive &= ending != Ending::Close;
    Some(Key { status, body_bytes, ending, persistence: asked.persistence(), to_head: asked.to_head })
}
