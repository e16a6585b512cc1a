//! From rules as they are written to rules that can be asked.

use std::{collections::HashMap, sync::Arc};

use super::{
    action::Rule,
    condition::Condition,
    expression::{Cost, Expression},
    index::{Index, IndexBuilder},
};
use crate::{
    limits::{RULE_CONDITIONS_TOTAL_MAX, RULE_NETWORKS_TOTAL_MAX, RULE_TAGS_MAX, RULES_MAX},
    route::{PathPattern, ValuePattern},
};

/// All rules of a config, compiled.
#[derive(Debug)]
pub struct Rules {
    /// In the order of the file.
    pub rules: Box<[Rule]>,
    /// What the rules' tags say.
    pub tags: Box<[Arc<str>]>,
    /// Of each rule, its condition.
    pub(super) expressions: Box<[Expression]>,
    pub(super) index: Index,
}

/// Why rules can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {fix}")]
pub struct BuildError {
    /// The rule at fault, by its place.
    pub rule: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Rules {
    /// Compiles rules in the order of the file.
    ///
    /// # Errors
    ///
    /// The first rule with which a bound on all of them is passed.
    pub fn build(rules: Vec<Rule>, tags: Vec<Arc<str>>) -> Result<Rules, BuildError> {
        let too_many = |rule: usize, what: String| BuildError {
            rule,
            message: what,
            fix: "put what is alike into one list, or one regex".to_owned(),
        };
        if rules.len() > RULES_MAX {
            return Err(too_many(RULES_MAX, format!("there are more than {RULES_MAX} rules")));
        }
        if tags.len() > RULE_TAGS_MAX {
            return Err(too_many(0, format!("there are more than {RULE_TAGS_MAX} tags")));
        }
        let mut numbered = Numbered::default();
        let mut expressions = Vec::with_capacity(rules.len());
        for (place, rule) in rules.iter().enumerate() {
            expressions.push(numbered.expression(&rule.condition));
            if numbered.conditions.len() > RULE_CONDITIONS_TOTAL_MAX {
                let what =
                    format!("the rules have more than {RULE_CONDITIONS_TOTAL_MAX} different conditions");
                return Err(too_many(place, what));
            }
            if numbered.networks > RULE_NETWORKS_TOTAL_MAX {
                let what = format!("the rules list more than {RULE_NETWORKS_TOTAL_MAX} networks");
                return Err(too_many(place, what));
            }
        }
        let index = numbered.index(&expressions);
        Ok(Rules { rules: rules.into(), tags: tags.into(), expressions: expressions.into(), index })
    }

    /// Whether any condition is about the client's address.
    pub fn look_at_clients(&self) -> bool {
        self.index.looks_at_clients()
    }

    /// The tags of a word, by name.
    pub fn tag_names(&self, word: u64) -> impl Iterator<Item = &Arc<str>> {
        self.tags.iter().enumerate().filter(move |(place, _)| word >> place & 1 == 1).map(|(_, tag)| tag)
    }
}

/// Conditions with their numbers, each that is asked for once.
#[derive(Default)]
struct Numbered {
    numbers: HashMap<String, u32>,
    conditions: Vec<Condition>,
    networks: usize,
}

impl Numbered {
    fn expression(&mut self, condition: &Condition) -> Expression {
        match condition {
            Condition::All(list) => Expression::All(list.iter().map(|it| self.expression(it)).collect()),
            Condition::Any(list) => Expression::Any(list.iter().map(|it| self.expression(it)).collect()),
            Condition::Not(inner) => Expression::Not(Box::new(self.expression(inner))),
            // No condition at all.
            Condition::Path(PathPattern::Any) => Expression::All(Box::default()),
            single => {
                let key = single.key().unwrap_or_default();
                let next = self.conditions.len() as u32;
                let number = *self.numbers.entry(key).or_insert(next);
                if number == next {
                    self.conditions.push(single.clone());
                    if let Condition::Client(networks) = single {
                        self.networks += networks.len();
                    }
                }
                Expression::Holds(number)
            }
        }
    }

    /// Where to find each condition, and from each the rules that can't do without it.
    fn index(&self, expressions: &[Expression]) -> Index {
        let mut uses = vec![0_usize; self.conditions.len()];
        for expression in expressions {
            expression.each(&mut |condition| {
                if let Some(uses) = uses.get_mut(condition as usize) {
                    *uses += 1;
                }
            });
        }
        let cost = |condition: u32| -> Cost {
            let place = condition as usize;
            (uses.get(place).copied().unwrap_or(0), self.conditions.get(place).map_or(0, breadth))
        };
        let mut builder = IndexBuilder::new(&self.conditions);
        for (rule, expression) in expressions.iter().enumerate() {
            match expression.needs(&cost) {
                Some(needs) => builder.rule(rule as u32, &needs.conditions),
                None => builder.always(rule as u32),
            }
        }
        builder.build(expressions.len())
    }
}

/// How many requests a kind of condition lets through, roughly.
fn breadth(condition: &Condition) -> u8 {
    match condition {
        Condition::Path(PathPattern::Exact(_)) => 0,
        Condition::Header(_, ValuePattern::Exact(_)) | Condition::Query(_, ValuePattern::Exact(_)) => 0,
        Condition::Hosts(_) | Condition::Client(_) => 1,
        Condition::Path(_) => 2,
        Condition::Header(..) | Condition::Query(..) => 3,
        _ => 4,
    }
}
