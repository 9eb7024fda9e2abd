//! What the audit trail is told of decisions.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use ringwall_api::{ApiResult, Authentication};

use super::Authorizer;
use crate::audit::Decided;

impl Authorizer {
    pub(super) fn tell(&self, authentication: &Authentication, decided: &Decided<'_>) {
        let Some(audit) = self.audit.as_ref().filter(|_| self.enabled) else {
            return;
        };
        if let Some(by) = &authentication.run_by {
            let may_act = self.may_act(authentication);
            let acting = Decided {
                is_granted: may_act,
                ..*decided
            };
            audit.run_as(by, authentication, &acting);
            if !may_act {
                return;
            }
        }
        audit.decided(authentication, decided);
    }

    pub(super) fn tell_changes(&self, authentication: &Authentication, request: &dyn Any) {
        if let Some(audit) = &self.audit {
            audit.changes(authentication, request);
        }
    }

    /// Tells of a refusal for which no whole request is at hand.
    pub(super) fn tell_refused(
        &self,
        authentication: &Authentication,
        action: &str,
        indices: &[String],
    ) {
        let decided = Decided {
            action,
            request: None,
            indices: Some(indices),
            is_granted: false,
        };
        self.tell(authentication, &decided);
    }

    /// Tells what has been decided about parts of a request: once for each action, with all indices.
    pub(super) fn tell_of_items(
        &self,
        authentication: &Authentication,
        decisions: &HashMap<(&'static str, String), ApiResult<()>>,
    ) {
        if self.audit.is_none() {
            return;
        }
        let mut by_action: BTreeMap<(&str, bool), Vec<String>> = BTreeMap::new();
        for ((action, index), decision) in decisions {
            let indices = by_action.entry((action, decision.is_ok())).or_default();
            indices.push(index.clone());
        }
        for ((action, is_granted), mut indices) in by_action {
            indices.sort_unstable();
            let decided = Decided {
                action,
                request: Some("BulkItemRequest"),
                indices: Some(&indices),
                is_granted,
            };
            self.tell(authentication, &decided);
        }
    }
}
