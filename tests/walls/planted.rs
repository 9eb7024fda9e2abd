//! The planted faults can still be planted.

use std::process::Command;

use crate::metadata;

/// A patch that no longer applies tests nothing. `tests/planted/run` tries what the faults do, which takes longer.
#[test]
fn planted_faults_apply() {
    let root = metadata::root();
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("tests/planted")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        for line in ["Fault: ", "Check: ", "Expect: "] {
            assert!(
                text.lines().any(|told| told.starts_with(line)),
                "{} has no line [{line}]",
                path.display()
            );
        }
        let Ok(checked) = Command::new("git")
            .args(["apply", "--check"])
            .arg(&path)
            .current_dir(&root)
            .output()
        else {
            eprintln!("SKIPPED: git is not installed");
            return;
        };
        assert!(
            checked.status.success(),
            "{}: {}Make the same fault in the code as it is now, and keep `git diff` below the head of the patch",
            path.display(),
            String::from_utf8_lossy(&checked.stderr)
        );
    }
    assert!(count > 0, "tests/planted has no patches");
}
