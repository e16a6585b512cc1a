//! A rule's condition over numbered conditions that have been answered already.

use super::scratch::Bits;

/// `All`, `Any` and `Not` over conditions by their number. As deep as the condition was written, which is bounded
/// (`limits::RULE_DEPTH_MAX`).
#[derive(Debug)]
pub(super) enum Expression {
    /// This condition holds.
    Holds(u32),
    All(Box<[Expression]>),
    Any(Box<[Expression]>),
    Not(Box<Expression>),
}

/// Conditions of which at least one holds whenever an expression does, and how much it costs to go by them: less is
/// better.
pub(super) struct Needs {
    pub(super) conditions: Vec<u32>,
    cost: Cost,
}

/// How many rules have these conditions, then how often such a condition holds.
pub(super) type Cost = (usize, u8);

impl Expression {
    /// Whether it holds when exactly the conditions in `holds` do.
    #[inline]
    pub(super) fn is_met(&self, holds: &Bits) -> bool {
        match self {
            Self::Holds(condition) => holds.has(*condition),
            Self::All(list) => list.iter().all(|it| it.is_met(holds)),
            Self::Any(list) => list.iter().any(|it| it.is_met(holds)),
            Self::Not(inner) => !inner.is_met(holds),
        }
    }

    /// What it needs; `None`: it may hold without any condition that does.
    pub(super) fn needs(&self, cost: &dyn Fn(u32) -> Cost) -> Option<Needs> {
        match self {
            Self::Holds(condition) => Some(Needs { conditions: vec![*condition], cost: cost(*condition) }),
            Self::All(list) => list.iter().filter_map(|it| it.needs(cost)).min_by_key(|needs| needs.cost),
            Self::Any(list) => {
                let mut all = Needs { conditions: Vec::new(), cost: (0, 0) };
                for needs in list.iter().map(|it| it.needs(cost)) {
                    let needs = needs?;
                    all.conditions.extend(needs.conditions);
                    all.cost = (all.cost.0 + needs.cost.0, all.cost.1.max(needs.cost.1));
                }
                Some(all)
            }
            Self::Not(_) => None,
        }
    }

    /// Calls `visit` with every condition in it.
    pub(super) fn each(&self, visit: &mut dyn FnMut(u32)) {
        match self {
            Self::Holds(condition) => visit(*condition),
            Self::All(list) | Self::Any(list) => list.iter().for_each(|it| it.each(visit)),
            Self::Not(inner) => inner.each(visit),
        }
    }
}
