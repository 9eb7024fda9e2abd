//! One part of the health report, in the published shape.

use serde_json::{Value, json};

use super::HealthStatus;

/// How much an impact matters, 1 most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Now = 1,
    Soon = 2,
    Someday = 3,
}

/// What is the matter with one thing.
#[derive(Debug, Clone)]
pub struct Indicator {
    pub status: HealthStatus,
    pub symptom: String,
    pub details: Value,
    pub impacts: Vec<Impact>,
    pub diagnoses: Vec<Diagnosis>,
}

/// What users notice, or will.
#[derive(Debug, Clone)]
pub struct Impact {
    pub id: &'static str,
    pub severity: Severity,
    pub description: String,
    /// `search`, `ingest`, `deployment_management`, `backup`.
    pub areas: &'static [&'static str],
}

/// A cause, and what to do about it.
#[derive(Debug, Clone)]
pub struct Diagnosis {
    pub id: &'static str,
    pub cause: String,
    pub action: String,
    /// What is affected: `nodes` or `indices`, and which.
    pub resources: (&'static str, Vec<String>),
}

impl Indicator {
    /// Returns an indicator with nothing to complain of.
    pub fn green(symptom: &str, details: Value) -> Self {
        Self {
            status: HealthStatus::Green,
            symptom: symptom.to_owned(),
            details,
            impacts: Vec::new(),
            diagnoses: Vec::new(),
        }
    }

    /// Adds a complaint. The status is the worst of all, the symptom is of the first that is as bad.
    pub fn complain(
        &mut self,
        status: HealthStatus,
        symptom: String,
        impact: Impact,
        diagnosis: Diagnosis,
    ) {
        if status > self.status {
            self.status = status;
            self.symptom = symptom;
        }
        if !self.impacts.iter().any(|known| known.id == impact.id) {
            self.impacts.push(impact);
        }
        self.diagnoses.push(diagnosis);
    }

    /// Returns the published form; `size` bounds the resources of a diagnosis.
    pub fn to_json(&self, name: &str, verbose: bool, size: usize) -> Value {
        let mut body = json!({"status": self.status.as_str(), "symptom": self.symptom});
        if !verbose {
            return body;
        }
        body["details"] = self.details.clone();
        if self.impacts.is_empty() && self.diagnoses.is_empty() {
            return body;
        }
        let impact = |impact: &Impact| {
            json!({
                "id": format!("elasticsearch:health:{name}:impact:{}", impact.id),
                "severity": impact.severity as u8,
                "description": impact.description,
                "impact_areas": impact.areas,
            })
        };
        let diagnosis = |diagnosis: &Diagnosis| {
            let (kind, names) = &diagnosis.resources;
            let named: Vec<&String> = names.iter().take(size).collect();
            json!({
                "id": format!("elasticsearch:health:{name}:diagnosis:{}", diagnosis.id),
                "cause": diagnosis.cause,
                "action": diagnosis.action,
                "help_url": "",
                "affected_resources": {*kind: named},
            })
        };
        body["impacts"] = self.impacts.iter().map(impact).collect();
        body["diagnosis"] = self.diagnoses.iter().map(diagnosis).collect();
        body
    }
}
