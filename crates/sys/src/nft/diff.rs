//! The difference of two tables, in an order that a transaction accepts.

use std::collections::{BTreeMap, HashMap};

use super::{Base, Rule, Set, Table, Value};

/// One step from a table to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Adds a named counter.
    AddCounter(&'a str),
    /// Adds a set or map without its elements.
    AddSet(&'a str, &'a Set),
    /// Adds a chain without its rules.
    AddChain(&'a str, Option<Base>),
    /// Removes a chain's rules.
    FlushChain(&'a str),
    /// Appends a rule to a chain.
    AddRule(&'a str, &'a Rule),
    /// Removes elements.
    DeleteElements(&'a str, &'a Set, Vec<&'a Vec<Value>>),
    /// Adds elements.
    AddElements(&'a str, &'a Set, Vec<(&'a Vec<Value>, &'a Option<Value>)>),
    /// Removes a chain that has no rules and that nothing leads to.
    DeleteChain(&'a str),
    /// Removes a set with its elements.
    DeleteSet(&'a str),
    /// Removes a counter that nothing counts in.
    DeleteCounter(&'a str),
}

const NO_RULES: &[Rule] = &[];
static NO_ELEMENTS: BTreeMap<Vec<Value>, Option<Value>> = BTreeMap::new();

/// What leads from `old` to `new`. What rules and elements refer to comes before them and goes after them. A chain
/// whose rules differ in anything is written anew; within one transaction no packet sees it empty.
///
/// A set's types and a base chain's place must not change under one name: they are part of what a program is, not of
/// what it is told. [`super::replace`] covers a new program.
pub fn diff<'a>(old: &'a Table, new: &'a Table) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    changes.extend(new.counters.difference(&old.counters).map(|name| Change::AddCounter(name)));
    for (name, set) in new.sets.iter().filter(|(name, _)| !old.sets.contains_key(*name)) {
        changes.push(Change::AddSet(name, set));
    }
    for (name, chain) in new.chains.iter().filter(|(name, _)| !old.chains.contains_key(*name)) {
        changes.push(Change::AddChain(name, chain.base));
    }
    for (name, chain) in &new.chains {
        let before = old.chains.get(name).map_or(NO_RULES, |chain| &chain.rules);
        if before == chain.rules {
            continue;
        }
        // New rules at the end leave the others alone, and cost nothing of what a deletion does.
        let behind = if chain.unordered {
            added(before, &chain.rules)
        } else {
            chain.rules.strip_prefix(before).map(|behind| behind.iter().collect())
        };
        if behind.is_none() {
            changes.push(Change::FlushChain(name));
        }
        let rules = behind.unwrap_or_else(|| chain.rules.iter().collect());
        changes.extend(rules.into_iter().map(|rule| Change::AddRule(name, rule)));
    }
    for (name, set) in &new.sets {
        let before = old.sets.get(name).map_or(&NO_ELEMENTS, |set| &set.elements);
        let gone: Vec<_> = before
            .iter()
            .filter(|(key, value)| set.elements.get(*key) != Some(value))
            .map(|(key, _)| key)
            .collect();
        if !gone.is_empty() {
            changes.push(Change::DeleteElements(name, set, gone));
        }
        let come: Vec<_> =
            set.elements.iter().filter(|(key, value)| before.get(*key) != Some(value)).collect();
        if !come.is_empty() {
            changes.push(Change::AddElements(name, set, come));
        }
    }
    let lost = |name: &&String| !new.chains.contains_key(*name);
    changes.extend(old.chains.keys().filter(lost).map(|name| Change::FlushChain(name)));
    // A verdict map's elements hold chains, so that sets go first.
    changes.extend(
        old.sets.keys().filter(|name| !new.sets.contains_key(*name)).map(|name| Change::DeleteSet(name)),
    );
    changes.extend(old.chains.keys().filter(lost).map(|name| Change::DeleteChain(name)));
    changes.extend(old.counters.difference(&new.counters).map(|name| Change::DeleteCounter(name)));
    changes
}

/// The rules that came, when none went and their order means nothing.
fn added<'a>(before: &[Rule], rules: &'a [Rule]) -> Option<Vec<&'a Rule>> {
    let mut there: HashMap<&Rule, usize> = HashMap::new();
    for rule in before {
        *there.entry(rule).or_default() += 1;
    }
    let mut come = Vec::new();
    for rule in rules {
        match there.get_mut(rule) {
            Some(left) if *left > 0 => *left -= 1,
            _ => come.push(rule),
        }
    }
    there.values().all(|left| *left == 0).then_some(come)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nft::{Chain, Expression, Type, Verdict};

    fn table(chain: &str, rules: usize, marks: &[(u32, &str)]) -> Table {
        let rule = vec![Expression::Count("c".to_owned())];
        let mut map = Set::map(&[Type::Mark], Type::Verdict);
        map.elements = marks
            .iter()
            .map(|(mark, chain)| {
                (vec![Value::Mark(*mark)], Some(Value::Verdict(Verdict::Jump((*chain).to_owned()))))
            })
            .collect();
        Table {
            name: "t".to_owned(),
            counters: ["c".to_owned()].into(),
            sets: [("m".to_owned(), map)].into(),
            chains: [(chain.to_owned(), Chain::new(vec![rule; rules]))].into(),
        }
    }

    #[test]
    fn equal_tables_need_no_change() {
        let table = table("a", 2, &[(1, "a")]);
        assert_eq!(diff(&table, &table), []);
    }

    #[test]
    fn a_chain_that_is_replaced_comes_before_its_references_and_goes_after_them() {
        let (old, new) = (table("a", 1, &[(1, "a"), (2, "a")]), table("b", 1, &[(1, "b")]));
        let rule = &new.chains["b"].rules[0];
        let (one, two) = (vec![Value::Mark(1)], vec![Value::Mark(2)]);
        let set = &new.sets["m"];
        assert_eq!(
            diff(&old, &new),
            [
                Change::AddChain("b", None),
                Change::AddRule("b", rule),
                Change::DeleteElements("m", set, vec![&one, &two]),
                Change::AddElements("m", set, vec![(&one, &set.elements[&one])]),
                Change::FlushChain("a"),
                Change::DeleteChain("a"),
            ]
        );
    }

    #[test]
    fn a_rule_at_the_end_leaves_the_others_alone() {
        let (old, new) = (table("a", 1, &[]), table("a", 2, &[]));
        assert_eq!(diff(&old, &new), [Change::AddRule("a", &new.chains["a"].rules[1])]);
        assert_eq!(diff(&new, &old)[0], Change::FlushChain("a"));
    }

    #[test]
    fn a_rule_anywhere_in_a_chain_without_an_order_leaves_the_others_alone() {
        let rule = |mark| vec![Expression::SetMark(mark)];
        let table = |marks: &[u32]| Table {
            chains: [("a".to_owned(), Chain::unordered(marks.iter().copied().map(rule).collect()))].into(),
            ..Table::default()
        };
        let (old, new) = (table(&[1, 3]), table(&[3, 2, 1]));
        assert_eq!(diff(&old, &new), [Change::AddRule("a", &rule(2))]);
        assert_eq!(diff(&table(&[3, 1]), &old), []);
        assert_eq!(diff(&new, &old)[0], Change::FlushChain("a"));
        assert_eq!(diff(&old, &table(&[1, 1, 3])).len(), 1);
    }
}
