//! The same shipment under other rules, to choose from.

use crate::plan::odds::{LossRates, Odds};
use crate::plan::sets::{ShipmentPlan, ShipmentRequest};
use crate::plan::survive::Survive;

/// What a rule costs, and how likely a loss is under it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleRow {
    pub survive: Survive,
    /// none: the drives cannot keep it
    pub kept: Option<RuleCost>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleCost {
    /// plain bytes that the drives hold under it
    pub holds_bytes: u64,
    /// does the dataset fit
    pub fits: bool,
    /// drives that the dataset needs; none if no number of them would do
    pub drives: Option<usize>,
    /// the chance that anything is lost
    pub odds: Odds,
}

/// The rules that are worth a look with so many cases, and the one that was planned.
pub fn others(
    request: &ShipmentRequest,
    plan: &ShipmentPlan,
    cases: usize,
    rates: LossRates,
    drives_needed: &dyn Fn(&ShipmentRequest) -> Option<usize>,
) -> Vec<RuleRow> {
    let rule = |cases, drives, blocks| Survive { cases, drives, blocks };
    let mut rules = match (request.drives.len(), cases) {
        (1, _) => vec![Survive::NONE, rule(0, 0, 1)],
        (_, 1) => vec![Survive::NONE, rule(0, 0, 1), rule(0, 1, 0), rule(0, 2, 0), rule(0, 3, 0)],
        _ => vec![Survive::NONE, rule(0, 1, 0), rule(1, 0, 0), rule(1, 1, 0), rule(1, 2, 0)],
    };
    if cases > 2 {
        rules.push(rule(2, 0, 0));
    }
    if !rules.contains(&plan.survive) {
        // Beside its like without parity along the drives.
        let like = Survive { blocks: 0, ..plan.survive };
        let at = rules.iter().position(|rule| *rule == like).map_or(rules.len(), |at| at + 1);
        rules.insert(at, plan.survive);
    }
    let row = |survive: Survive| {
        let request = ShipmentRequest { survive: Some(survive), ..request.clone() };
        let planned = request.plan().ok();
        let cost = |plan: ShipmentPlan| RuleCost {
            holds_bytes: plan.holds_bytes,
            fits: plan.missing_bytes == 0,
            drives: drives_needed(&request),
            odds: plan.odds(rates),
        };
        RuleRow { survive, kept: planned.map(cost) }
    };
    rules.into_iter().map(row).collect()
}
