//! `--grafana`, against a stand-in that takes nothing but what the real one takes.

use std::fs;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Run, UID, folder, run};

const TOKEN: &str = "glsa_0123456789abcdefghijklmnopqrstuv_deadbeef";

/// What the stand-in has, and what was done to it.
#[derive(Debug, Default)]
struct Has {
    datasources: Vec<Value>,
    folders: Vec<Value>,
    /// What it answers to a dashboard, instead of taking it.
    refusal: Option<(u16, Value)>,
    /// Whether it sends everyone elsewhere.
    moved: bool,
    saved: Vec<Value>,
    requests: Vec<String>,
}

struct Grafana {
    url: String,
    has: Arc<Mutex<Has>>,
    folder: TempDir,
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn handle(State(has): State<Arc<Mutex<Has>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let mut has = has.lock().unwrap();
    has.requests.push(format!("{} {}", parts.method, parts.uri));
    let sent = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if has.moved {
        return (StatusCode::FOUND, [(header::LOCATION, "http://127.0.0.1:1/login")]).into_response();
    }
    if sent(header::AUTHORIZATION) != Some(format!("Bearer {TOKEN}")) {
        // Some proxies repeat what they were sent.
        let message = format!("Invalid API key {}", sent(header::AUTHORIZATION).unwrap_or_default());
        return answer(401, &json!({ "message": message }));
    }
    assert_eq!(sent(header::ACCEPT).as_deref(), Some("application/json"));
    match (parts.method.as_str(), parts.uri.path()) {
        ("GET", "/sub/api/datasources") => answer(200, &json!(has.datasources)),
        ("GET", "/sub/api/folders") => answer(200, &json!(has.folders)),
        ("POST", path) => {
            assert_eq!(sent(header::CONTENT_TYPE).as_deref(), Some("application/json"));
            let body: Value = serde_json::from_slice(&body).unwrap();
            post(&mut has, path, body)
        }
        _ => answer(404, &json!({ "message": "Not found" })),
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn post(has: &mut Has, path: &str, body: Value) -> Response {
    match path {
        "/sub/api/folders" => {
            assert_eq!(keys(&body), ["title"]);
            let folder = json!({ "id": 1, "uid": "made", "title": body["title"] });
            has.folders.push(folder.clone());
            answer(200, &folder)
        }
        "/sub/api/dashboards/db" => {
            if let Some((status, body)) = &has.refusal {
                return answer(*status, body);
            }
            assert_eq!(body["overwrite"], true);
            assert!(body["message"].as_str().unwrap().starts_with("imported by akamai-exporter "));
            let dashboard = body["dashboard"].as_object().unwrap();
            assert_eq!(dashboard.get("id"), Some(&Value::Null), "Grafana takes an id for one of its own");
            assert!(dashboard.get("title").is_some_and(Value::is_string));
            has.saved.push(body.clone());
            answer(
                200,
                &json!({ "id": 9, "uid": "u", "url": "/sub/d/u/t", "status": "success", "version": 1 }),
            )
        }
        _ => answer(404, &json!({ "message": "Not found" })),
    }
}

impl Grafana {
    fn start(has: Has) -> Self {
        let has = Arc::new(Mutex::new(has));
        let app = Router::new().fallback(handle).with_state(Arc::clone(&has));
        let (sender, receiver) = std::sync::mpsc::channel();
        // It ends with the test program.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        let url = format!("http://{}/sub", receiver.recv().unwrap());
        let folder = folder();
        fs::write(folder.path().join("token"), format!("{TOKEN}\n")).unwrap();
        Self { url, has, folder }
    }

    /// Runs with this Grafana, and looks for the token in all that is printed.
    fn run(&self, arguments: &[&str]) -> Run {
        let own = ["--grafana", &self.url, "--token-file", "token"];
        let run = run(self.folder.path(), &[&own, arguments].concat());
        assert!(!format!("{run:?}").contains(TOKEN), "{run:?}");
        run
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], sentence: &str) {
        let run = self.run(arguments);
        assert_eq!((run.status, run.err.replace(&self.url, "URL")), (1, format!("{sentence}\n")));
    }

    fn requests(&self) -> Vec<String> {
        self.has.lock().unwrap().requests.clone()
    }
}

fn datasource(name: &str, kind: &str, is_default: bool) -> Value {
    json!({ "id": 1, "uid": format!("uid-{name}"), "name": name, "type": kind, "isDefault": is_default })
}

#[test]
fn ours_into_a_new_folder() {
    let datasources = vec![datasource("Loki", "loki", true), datasource("Main", "prometheus", false)];
    let grafana = Grafana::start(Has { datasources, ..Has::default() });
    let run = grafana.run(&[]);
    assert_eq!((run.status, run.err.as_str()), (0, ""));
    let url = format!("{}/d/u/t", grafana.url);
    let report = format!(
        "datasource Main (uid-Main)\ncreated folder Akamai\n\
         imported overview.json: {url}\nimported http-status-distribution.json: {url}\nimported amd-and-traffic.json: {url}\n\
         imported amd-in-true-time.json: {url}\nimported exporter-health.json: {url}\n"
    );
    assert_eq!(run.out, report);
    let folders = "/sub/api/folders?limit=1000&page=1";
    let expected = ["GET /sub/api/datasources", &format!("GET {folders}"), "POST /sub/api/folders"];
    assert_eq!(grafana.requests()[..3], expected);
    let has = grafana.has.lock().unwrap();
    assert_eq!(has.saved.len(), 5);
    for body in &has.saved {
        assert_eq!(keys(body), ["dashboard", "folderUid", "message", "overwrite"]);
        assert_eq!(body["folderUid"], "made");
        let variables = body["dashboard"]["templating"]["list"].as_array().unwrap();
        assert!(variables.iter().any(|variable| variable["current"]["value"] == "uid-Main"));
    }
}

#[test]
fn files_into_a_folder_that_is_there() {
    let folders = vec![json!({ "uid": "other", "title": "CDN 2" }), json!({ "uid": "cdn", "title": "CDN" })];
    let grafana = Grafana::start(Has { folders, ..Has::default() });
    let wrapped =
        r#"{"meta": {}, "dashboard": {"id": 5, "title": "W", "panels": [{"datasource": "Prometheus"}]}}"#;
    fs::write(grafana.folder.path().join("wrapped.json"), wrapped).unwrap();
    let resource = r#"{"apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard", "metadata": {"name": "named"},
        "spec": {"title": "R", "panels": []}}"#;
    fs::write(grafana.folder.path().join("resource.json"), resource).unwrap();
    let run = grafana.run(&["-d", UID, "--folder", "CDN", "one.json", "wrapped.json", "resource.json"]);
    assert_eq!((run.status, run.err.as_str(), run.out.lines().count()), (0, "", 3));
    assert!(
        !grafana
            .requests()
            .iter()
            .any(|request| request.contains("datasources") || request == "POST /sub/api/folders")
    );
    let has = grafana.has.lock().unwrap();
    let reference = json!({ "type": "prometheus", "uid": UID });
    assert_eq!(has.saved[0]["dashboard"]["panels"][0]["datasource"], reference);
    assert_eq!(has.saved[1]["dashboard"]["panels"][0]["datasource"], reference);
    assert_eq!(has.saved[2]["dashboard"]["uid"], "named");
    assert!(has.saved.iter().all(|body| body["folderUid"] == "cdn"));
}

#[test]
fn the_general_folder() {
    let grafana = Grafana::start(Has::default());
    assert_eq!(grafana.run(&["-d", UID, "--folder", "General", "one.json"]).status, 0);
    assert_eq!(grafana.requests(), ["POST /sub/api/dashboards/db"]);
    assert_eq!(keys(&grafana.has.lock().unwrap().saved[0]), ["dashboard", "message", "overwrite"]);
}

#[test]
fn which_datasource() {
    let grafana =
        Grafana::start(Has { datasources: vec![datasource("Loki", "loki", true)], ..Has::default() });
    grafana
        .fails(&["one.json"], "Grafana at URL/ has no Prometheus datasource; add one, or name one with -d");
    let two = [datasource("A", "prometheus", false), datasource("B", "prometheus", false)];
    grafana.has.lock().unwrap().datasources.extend(two);
    grafana.fails(&["one.json"], "several Prometheus datasources; name one with -d: A (uid-A), B (uid-B)");
    assert!(grafana.has.lock().unwrap().saved.is_empty());
    grafana.has.lock().unwrap().datasources.push(datasource("C", "prometheus", true));
    assert!(grafana.run(&["one.json"]).out.starts_with("datasource C (uid-C)\n"));
}

#[test]
fn refusals() {
    let grafana = Grafana::start(Has::default());
    let refuses = |status, body: Value, sentence: &str| {
        grafana.has.lock().unwrap().refusal = Some((status, body));
        grafana.fails(&["-d", UID, "one.json"], sentence);
    };
    let message = |text: &str| json!({ "message": text });
    let needs = "the token may not save one.json: it needs the permission dashboards:create (role Editor)";
    refuses(403, message("You'll need additional permissions"), needs);
    let plugin = "Grafana refuses to save one.json: The dashboard belongs to plugin x";
    refuses(412, message("The dashboard belongs to plugin x"), plugin);
    refuses(
        400,
        message("Cannot save provisioned dashboard"),
        "Grafana refuses to save one.json: Cannot save provisioned dashboard",
    );
    refuses(404, message("folder not found"), "Grafana could not save one.json (404): folder not found");
    refuses(
        500,
        message(&format!("internal\n{TOKEN}")),
        "Grafana could not save one.json (500): internal [token]",
    );
    refuses(502, Value::Null, "Grafana could not save one.json: it answers 502");
    refuses(
        404,
        Value::Null,
        "there is no Grafana at URL/ (404); does the address lack a path, such as /grafana?",
    );
}

#[test]
fn tokens() {
    let grafana = Grafana::start(Has::default());
    let token = grafana.folder.path().join("token");
    let given = |text: &str, sentence: &str| {
        fs::write(&token, text).unwrap();
        grafana.fails(&["-d", UID, "one.json"], sentence);
    };
    let wrong = "Grafana at URL/ does not accept the token: it is wrong, expired or another Grafana's";
    given("glsa_wrong", wrong);
    given(&TOKEN[1..], wrong);
    given(" \n", "token is empty; expected the token of a Grafana service account");
    given(&format!("{TOKEN}\n{TOKEN}"), "token holds more than a token");
    fs::remove_file(&token).unwrap();
    grafana.fails(&["one.json"], "token cannot be read: No such file or directory (os error 2)");
}

#[test]
fn nobody_or_somebody_else_there() {
    let grafana = Grafana::start(Has { moved: true, ..Has::default() });
    let moved = "Grafana at URL/ redirects to http://127.0.0.1:1/login; name its address as it is after that";
    grafana.fails(&["one.json"], moved);
    assert_eq!(grafana.requests().len(), 1);
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let run = run(grafana.folder.path(), &["--grafana", &url, "--token-file", "token"]);
    let refused = format!("Grafana at {url}/ cannot be reached: Connection refused (os error 111)\n");
    assert_eq!((run.status, run.err), (1, refused));
}

#[test]
fn what_only_the_import_page_can() {
    let grafana = Grafana::start(Has::default());
    let given = |text: &str, sentence: &str| {
        fs::write(grafana.folder.path().join("bad.json"), text).unwrap();
        grafana.fails(&["-d", UID, "one.json", "bad.json"], sentence);
    };
    given(
        r#"{"__inputs": [{"name": "DS_LOKI", "type": "datasource", "pluginId": "loki"}], "panels": []}"#,
        "bad.json asks for DS_LOKI, as only Grafana's import page can; import it there",
    );
    given(
        r#"{"__elements": {"a": {"model": {}}}, "panels": []}"#,
        "bad.json brings library panels, which only Grafana's import page creates; import it there",
    );
    given(
        r#"{"elements": {}}"#,
        "bad.json is of the newer schema (v2), which this API does not take; write it to a file and import that",
    );
    given("[]", "bad.json is not a dashboard: it is no JSON object");
    assert_eq!(grafana.requests(), [""; 0], "something was sent although not all could be");
}
