//! Which endpoint a request is sent to: whose turn it is, of those that can be used.

use std::rc::Rc;

use super::{EndpointState, Pool, Tried};
use crate::error::Failure;

impl Pool {
    pub(super) fn pick(&self, tried: &Tried) -> Result<Rc<EndpointState>, Failure> {
        let endpoints = self.endpoints.borrow();
        let skip = |index: usize| {
            !tried.endpoints().is_empty()
                && endpoints.get(index).is_none_or(|state| tried.endpoints().contains(&state.id))
        };
        let picked = self.balancer.borrow_mut().pick(skip).and_then(|index| endpoints.get(index).cloned());
        picked.ok_or(tried.last().unwrap_or(Failure::NoEndpoints))
    }

    /// For a request that has waited: the endpoint whose connection was given back last, in place of the one whose
    /// turn it is, as long as shares stay right. Else that connection would be closed to make room for a new one.
    pub(super) fn given_back(&self, turn: Rc<EndpointState>, tried: &Tried) -> Rc<EndpointState> {
        if !turn.idle.borrow().is_empty() {
            return turn;
        }
        let endpoints = self.endpoints.borrow();
        let last = endpoints
            .iter()
            .filter(|state| !tried.endpoints().contains(&state.id))
            .filter_map(|state| Some((state.idle.borrow().back()?.idle_since, state)))
            .max_by_key(|(since, _)| *since);
        match last {
            Some((_, state)) if self.balancer.borrow_mut().swap(turn.id, state.id) => Rc::clone(state),
            _ => turn,
        }
    }
}
