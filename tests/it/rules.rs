//! Recording and alerting rules: Prometheus' own linter and unit tests, the proof that these see every rule, and what every alert must say.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::repository::{copy_rules, files, name, read};
use crate::tools::{outcome, succeeds, tool};

/// Where the rules are.
const RULES: &str = "prometheus/rules";

fn yaml(file: &Path) -> Value {
    serde_saphyr::from_str(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn promtool() -> Command {
    let mut command = Command::new(tool("promtool", "prometheus"));
    // It lives for a second: its garbage collector would take a good part of that.
    command.env("GOGC", "400");
    command
}

/// `work` on each item, on all cores.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (items, done) = (Mutex::new(items.into_iter()), Mutex::new(Vec::new()));
    let take = || items.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(item) = take() {
                    let result = work(item);
                    done.lock().unwrap().push(result);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

// --- the unit tests ------------------------------------------------------------------------------------------------------------------

/// One test of a test file, as a file of its own: so each can be run by itself, the quick ones first.
struct Case {
    /// What its file is called.
    file: String,
    text: String,
    rule_files: Vec<Value>,
    took: Duration,
    /// What promtool says if it fails.
    failure: Option<String>,
}

/// What begins the tests of a file, and each of them.
const TESTS: &str = "\ntests:\n";
const TEST: &str = "  - ";

impl Case {
    /// The tests of `file`. They are cut out of its text, for values such as `0x20` are samples to promtool and numbers to YAML.
    fn of(file: &Path) -> Vec<Self> {
        let text = read(file);
        let (head, tests) =
            text.split_once(TESTS).unwrap_or_else(|| panic!("no tests in {}", file.display()));
        let content = yaml(file);
        let rule_files = content["rule_files"].as_array().unwrap().clone();
        assert!(
            rule_files.len() == 1 || content["group_eval_order"].is_array(),
            "{}: without group_eval_order promtool evaluates groups in any order",
            file.display()
        );
        // The first part is what stands before the first test: nothing, or a comment.
        let (tests, before) = (format!("\n{tests}"), format!("\n{TEST}"));
        let texts: Vec<_> = tests.split(&before).skip(1).collect();
        let number = content["tests"].as_array().unwrap().len();
        assert_eq!(texts.len(), number, "{}: each test begins with `{TEST}`", file.display());
        let stem = name(file).strip_suffix(".test.yml").unwrap();
        let cases = (1..).zip(texts).map(|(number, test)| Self {
            file: format!("{stem}-{number}.test.yml"),
            text: format!("{head}{TESTS}{TEST}{test}\n"),
            rule_files: rule_files.clone(),
            took: Duration::ZERO,
            failure: None,
        });
        cases.collect()
    }

    fn uses(&self, rule_file: &str) -> bool {
        self.rule_files.iter().any(|file| file == &format!("../../prometheus/rules/{rule_file}"))
    }

    /// Runs it in a tree.
    fn run(&self, tree: &Path) -> (bool, String) {
        outcome(promtool().args(["test", "rules"]).arg(tree.join("tests/rules").join(&self.file)))
    }
}

/// All cases, run once with the rules as they are, and the folder that they are in.
struct Cases {
    directory: TempDir,
    cases: Vec<Case>,
}

impl Cases {
    fn get() -> &'static Self {
        static CASES: OnceLock<Cases> = OnceLock::new();
        CASES.get_or_init(Self::read)
    }

    fn read() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tests = directory.path().join("tests/rules");
        std::fs::create_dir_all(&tests).unwrap();
        let cases: Vec<_> =
            files("tests/rules", ".test.yml").iter().flat_map(|file| Case::of(file)).collect();
        for case in &cases {
            std::fs::write(tests.join(&case.file), &case.text).unwrap();
        }
        // What tests have besides: overrides of their own.
        for file in files("tests/rules", ".yml").iter().filter(|file| !name(file).ends_with(".test.yml")) {
            std::fs::copy(file, tests.join(name(file))).unwrap();
        }
        copy_rules(&directory.path().join(RULES), |_, text| text);
        let cases = in_parallel(cases, |case| {
            let began = Instant::now();
            let (success, said) = case.run(directory.path());
            Case { took: began.elapsed(), failure: (!success).then_some(said), ..case }
        });
        Self { directory, cases }
    }

    /// A tree with these cases and the rule files, each of which can be changed.
    fn tree(&self) -> TempDir {
        let tree = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(self.directory.path().join("tests"), tree.path().join("tests")).unwrap();
        copy_rules(&tree.path().join(RULES), |_, text| text);
        tree
    }
}

#[test]
fn the_rules_do_what_their_tests_say() {
    let failures: Vec<_> = Cases::get().cases.iter().filter_map(|case| case.failure.as_deref()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

// --- whether the unit tests see ------------------------------------------------------------------------------------------------------

/// A rule and where it stands.
struct Rule {
    file: PathBuf,
    group: usize,
    index: usize,
    rule: Value,
}

impl Rule {
    fn all() -> Vec<Self> {
        let mut rules = Vec::new();
        for file in files(RULES, ".yml") {
            for (group, content) in yaml(&file)["groups"].as_array().unwrap().iter().enumerate() {
                for (index, rule) in content["rules"].as_array().unwrap().iter().enumerate() {
                    rules.push(Self { file: file.clone(), group, index, rule: rule.clone() });
                }
            }
        }
        rules
    }

    /// The name of the alert or of the record.
    fn name(&self) -> &str {
        self.alert().or(self.rule["record"].as_str()).unwrap()
    }

    fn alert(&self) -> Option<&str> {
        self.rule["alert"].as_str()
    }

    fn annotation(&self, name: &str) -> &str {
        self.rule["annotations"][name].as_str().unwrap_or_default()
    }

    fn label(&self, name: &str) -> &str {
        self.rule["labels"][name].as_str().unwrap_or_default()
    }

    /// Its file without it, as JSON, which is YAML.
    fn file_without(&self) -> String {
        let mut content = yaml(&self.file);
        content["groups"][self.group]["rules"].as_array_mut().unwrap().remove(self.index);
        content.to_string()
    }

    /// What is named in its expression, if that is more than a number.
    fn expression(&self) -> &str {
        self.rule["expr"].as_str().unwrap_or_default()
    }

    /// Its name, those of the rules that read it, and so on: each with how far it is from there.
    fn readers<'a>(&'a self, rules: &'a [Self]) -> BTreeMap<&'a str, usize> {
        let mut found = BTreeMap::from([(self.name(), 0)]);
        let mut last = vec![self.name()];
        for distance in 1.. {
            let reads = |rule: &&Self| last.iter().any(|name| rule.expression().contains(name));
            let names: BTreeSet<_> = rules.iter().filter(reads).map(Self::name).collect();
            last = names.into_iter().filter(|name| !found.contains_key(name)).collect();
            if last.is_empty() {
                break;
            }
            found.extend(last.iter().map(|name| (*name, distance)));
        }
        found
    }

    /// Whether some case fails where this rule is missing, for what it expects and not for what it cannot read.
    fn is_missed(&self, rules: &[Self], all: &Cases) -> bool {
        let tree = all.tree();
        let file = name(&self.file);
        std::fs::write(tree.path().join(RULES).join(file), self.file_without()).unwrap();
        let mut cases: Vec<_> = all.cases.iter().filter(|case| case.uses(file)).collect();
        // Those that name the rule, or one that reads it, see it most likely; and the quick ones cost little.
        let readers = self.readers(rules);
        let distance = |case: &Case| {
            let named = readers.iter().filter(|(name, _)| case.text.contains(**name));
            named.map(|(_, distance)| *distance).min().unwrap_or(usize::MAX)
        };
        cases.sort_by_cached_key(|case| (distance(case), case.took));
        cases.iter().any(|case| {
            let (success, said) = case.run(tree.path());
            assert!(success || said.contains("got:"), "{} without {}: {said}", case.file, self.name());
            !success
        })
    }
}

/// Without any one rule some test fails: so none is there that no test looks at.
#[test]
fn the_tests_see_every_rule() {
    let cases = Cases::get();
    let rules = Rule::all();
    let unseen = in_parallel(rules.iter().collect(), |rule: &Rule| {
        (!rule.is_missed(&rules, cases))
            .then(|| format!("{}: {} {}", name(&rule.file), rule.name(), rule.rule["labels"]))
    });
    let unseen: BTreeSet<_> = unseen.into_iter().flatten().collect();
    assert!(unseen.is_empty(), "no test sees that these are missing: {unseen:#?}");
}

// --- what stands in the rules --------------------------------------------------------------------------------------------------------

#[test]
fn promtool_s_linter_has_nothing_to_say() {
    let lint = ["check", "rules", "--lint=all", "--lint-fatal"];
    succeeds(promtool().args(lint).args(files(RULES, ".yml")));
}

/// Where the pages are that alerts point to.
const RUNBOOKS: &str = "https://github.com/akamai-exporter/akamai-exporter/blob/main/docs/runbooks/";

/// The `uid` of each of our dashboards.
fn dashboards() -> BTreeSet<String> {
    let files = files("grafana/dashboards", ".json");
    let dashboards = files.iter().map(|file| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap());
    dashboards.map(|dashboard: Value| dashboard["uid"].as_str().unwrap().to_owned()).collect()
}

/// What is wrong with an alert.
fn faults(alert: &Rule, dashboards: &BTreeSet<String>) -> Vec<&'static str> {
    let one_of = |label: &str, values: &[&str]| values.contains(&alert.label(label));
    let expression = alert.expression();
    let scopes = ["overall", "account", "source", "cpcode", "exporter"];
    let link = alert.annotation("dashboard_url");
    let dashboard = link.split_once("/d/").map(|(_, rest)| rest.split('?').next().unwrap());
    // A record of a scope has it as a label.
    let of_scope = expression.contains("scope:") || expression.contains("scope_tier");
    let has_scope = one_of("scope", &scopes) || (alert.label("scope").is_empty() && of_scope);
    let checks = [
        ("severity", one_of("severity", &["critical", "warning"])),
        ("category", one_of("category", &["errors", "traffic", "no_data", "access", "exporter"])),
        ("scope", has_scope),
        (
            "a summary of one line",
            !alert.annotation("summary").is_empty() && !alert.annotation("summary").contains('\n'),
        ),
        ("a description", !alert.annotation("description").is_empty()),
        ("its runbook", alert.annotation("runbook_url") == format!("{RUNBOOKS}{}.md", alert.name())),
        ("a dashboard of ours", dashboard.is_some_and(|uid| dashboards.contains(uid))),
    ];
    checks.into_iter().filter(|(_, is_right)| !is_right).map(|(what, _)| what).collect()
}

#[test]
fn alerts_say_what_the_notification_needs() {
    let dashboards = dashboards();
    let alerts: Vec<_> = Rule::all().into_iter().filter(|rule| rule.alert().is_some()).collect();
    let lacking: BTreeMap<_, _> = alerts
        .iter()
        .map(|alert| (format!("{} ({})", alert.name(), alert.label("severity")), faults(alert, &dashboards)))
        .filter(|(_, faults)| !faults.is_empty())
        .collect();
    assert!(lacking.is_empty(), "these alerts lack: {lacking:#?}");
}

/// The examples of `overrides.yml` are right when somebody takes their `#` away.
#[test]
fn the_examples_of_overrides_have_an_effect() {
    let text = read("prometheus/rules/overrides.yml");
    let text = text.replace("rules: []", "rules:").replace("# - {record", "- {record");
    let tree = Cases::get().tree();
    let (rules, test) = (tree.path().join(RULES), tree.path().join("examples.test.yml"));
    std::fs::write(rules.join("overrides.yml"), &text).unwrap();
    succeeds(
        promtool().args(["check", "rules", "--lint=all", "--lint-fatal"]).arg(rules.join("overrides.yml")),
    );
    // Those that are taken over are as many as there are, and none is an alert.
    let number = text.matches("\"akamai:threshold:override\"").count();
    let case = format!(
        "rule_files: [prometheus/rules/overrides.yml, prometheus/rules/thresholds.yml]
group_eval_order: [akamai-overrides, akamai-thresholds]
evaluation_interval: 30s
tests:
  - promql_expr_test:
      - expr: count(akamai:threshold:cpcode or akamai:threshold:account)
        exp_samples: [{{labels: '{{}}', value: {number}}}]
      - {{expr: ALERTS, exp_samples: []}}
"
    );
    std::fs::write(&test, case).unwrap();
    succeeds(promtool().args(["test", "rules"]).arg(test));
}
