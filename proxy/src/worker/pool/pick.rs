//! Which endpoint a request is sent to: whose turn it is, of those that can be used.
//!
//! One that the control thread has taken out of use is skipped as if it was not there. Only if all are, and `when_unhealthy`
//! says so, are all used.

use std::rc::Rc;

use super::{EndpointState, Pool, Tried};
use crate::{error::Failure, upstream::health::WhenUnhealthy};

impl EndpointState {
    /// Whether the control thread has it in use.
    fn is_used(&self) -> bool {
        self.health.share() > 0
    }
}

impl Pool {
    pub(super) fn pick(&self, tried: &Tried) -> Result<Rc<EndpointState>, Failure> {
        let endpoints = self.endpoints.borrow();
        let watched = self.watched.get();
        let is_tried = |index: usize| {
            !tried.endpoints().is_empty()
                && endpoints.get(index).is_none_or(|state| tried.endpoints().contains(&state.id))
        };
        let skip = |index: usize| {
            is_tried(index)
                || (watched.is_some() && endpoints.get(index).is_none_or(|state| !state.is_used()))
        };
        let mut picked = self.balancer.borrow_mut().pick(skip);
        let mut none = Failure::NoEndpoints;
        if picked.is_none()
            && let Some(then) = watched
            && !self.any_used()
        {
            match then {
                WhenUnhealthy::TryAll => picked = self.balancer.borrow_mut().pick(is_tried),
                WhenUnhealthy::Fail if !endpoints.is_empty() => none = Failure::Unhealthy,
                // There would be none if all were healthy.
                WhenUnhealthy::Fail => {}
            }
        }
        let picked = picked.and_then(|index| endpoints.get(index).cloned());
        picked.ok_or(tried.last().unwrap_or(none))
    }

    /// Whether any endpoint is in use. Without one, what is known of them is no help.
    fn any_used(&self) -> bool {
        self.endpoints.borrow().iter().any(|state| state.weighted.get() && state.is_used())
    }

    /// For a request that has waited: the endpoint whose connection was given back last, in place of the one whose
    /// turn it is, as long as shares stay right. Else that connection would be closed to make room for a new one.
    pub(super) fn given_back(&self, turn: Rc<EndpointState>, tried: &Tried) -> Rc<EndpointState> {
        if !turn.idle.borrow().is_empty() {
            return turn;
        }
        let endpoints = self.endpoints.borrow();
        let all = self.watched.get().is_none() || !turn.is_used();
        let last = endpoints
            .iter()
            .filter(|state| !tried.endpoints().contains(&state.id) && (all || state.is_used()))
            .filter_map(|state| Some((state.idle.borrow().back()?.idle_since, state)))
            .max_by_key(|(since, _)| *since);
        match last {
            Some((_, state)) if self.balancer.borrow_mut().swap(turn.id, state.id) => Rc::clone(state),
            _ => turn,
        }
    }
}
