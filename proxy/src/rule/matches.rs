//! Which rules match a request.

use super::{action::Rule, build::Rules, request::Request, scratch::Scratch};

/// The rules that match a request, in the order of the file, up to the first that ends it; with their place.
#[derive(Debug)]
pub struct Matches<'r, 's> {
    rules: &'r Rules,
    scratch: &'s Scratch,
    /// The rule from which to go on; `None`: at the end.
    next: Option<usize>,
}

impl Rules {
    /// Looks at a request. Allocates nothing once `scratch` has grown to what these rules and the longest query need;
    /// the regex crate keeps space of its own.
    pub fn matches<'s>(&self, request: &Request<'_>, scratch: &'s mut Scratch) -> Matches<'_, 's> {
        self.index.mark(request, scratch);
        Matches { rules: self, scratch, next: Some(0) }
    }
}

impl<'r> Iterator for Matches<'r, '_> {
    type Item = (usize, &'r Rule);

    #[inline]
    fn next(&mut self) -> Option<(usize, &'r Rule)> {
        let marks = &self.scratch.marks;
        let mut from = self.next.take()?;
        loop {
            let place = marks.asked.next(from)?;
            from = place + 1;
            let (rule, expression) = self.rules.rules.get(place).zip(self.rules.expressions.get(place))?;
            if expression.is_met(&marks.holds) {
                self.next = rule.end.is_none().then_some(from);
                return Some((place, rule));
            }
        }
    }
}
