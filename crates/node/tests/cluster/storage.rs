//! Files of a copy that are not what was written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const ONE_SHARD: &str =
    r#"{"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"}"#;

/// A log that has lost acknowledged writes, and no other copy has them: the shard is red and says why, until an
/// operator goes on without them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_whose_every_copy_lost_writes_is_red_until_an_operator_decides() {
    let mut cluster = Cluster::start(1).await;
    let settings: Value = serde_json::from_str(ONE_SHARD).unwrap();
    let (status, body) = cluster.put(0, "/i", json!({"settings": settings})).await;
    assert_eq!(status, 200, "{body}");
    for n in 0..10 {
        let (status, body) = cluster
            .put(0, &format!("/i/_doc/{n}"), json!({"n": n}))
            .await;
        assert_eq!(status, 201, "{body}");
    }
    // As a kill leaves it: what is acknowledged is in the log alone.
    let data = data(&cluster, 0);
    let killed = data.with_extension("killed");
    copy(&data, &killed);
    cluster.stop_node(0).await;
    cluster.remove_data(0);
    std::fs::rename(&killed, &data).unwrap();
    let log = largest(&data, "tlog");
    let file = std::fs::File::options().write(true).open(&log).unwrap();
    file.set_len(file.metadata().unwrap().len() - 20).unwrap();
    cluster.start_node(0).await;

    let reason = until(async || {
        let (_, state) = cluster.get(0, "/_cluster/state/routing_table/i").await;
        let copy = &state["routing_table"]["indices"]["i"]["shards"]["0"][0];
        let details = copy["unassigned_info"]["details"]
            .as_str()
            .unwrap_or_default();
        details
            .contains("has lost its end")
            .then(|| details.to_owned())
    })
    .await;
    let name = log.file_name().unwrap().to_str().unwrap();
    assert!(
        reason.contains(name) && reason.contains("accept_data_loss"),
        "{reason}"
    );
    let (_, health) = cluster.get(0, "/_cluster/health").await;
    assert_eq!(health["status"], "red");

    let (_, nodes) = cluster.get(0, "/_nodes").await;
    let node = nodes["nodes"].as_object().unwrap().values().next().unwrap()["name"].clone();
    let command = |accept: bool| {
        json!({"commands": [{"allocate_stale_primary":
            {"index": "i", "shard": 0, "node": node, "accept_data_loss": accept}}]})
    };
    let path = "/_cluster/reroute?metric=none";
    // A copy that is just being tried again is assigned for a moment.
    let refused = until(async || {
        let (status, body) = cluster.post(0, path, command(false)).await;
        let reason = body["error"]["reason"].as_str().unwrap().to_owned();
        assert_eq!(status, 400, "{body}");
        (!reason.contains("already assigned")).then_some(reason)
    })
    .await;
    assert!(refused.contains("can result in data loss"), "{refused}");
    until(async || {
        let (status, _) = cluster.post(0, path, command(true)).await;
        (status == 200).then_some(())
    })
    .await;
    cluster.wait_for_status(0, "green").await;
    let (status, _) = cluster.get(0, "/i/_doc/8").await;
    assert_eq!(status, 200);
    let (status, _) = cluster.get(0, "/i/_doc/9").await;
    assert_eq!(status, 404, "the end of the log is gone");
    cluster.stop().await;
}

/// A file goes bad on a running node: the scrub finds it, and the copy is built anew from the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_gone_bad_is_found_by_the_scrub_and_the_copy_is_built_anew() {
    let cluster = Cluster::start_with(2, &[("indices.scrub.interval", "500ms")]).await;
    let settings = json!({"number_of_shards": 1, "number_of_replicas": 1});
    let (status, body) = cluster.put(0, "/i", json!({"settings": settings})).await;
    assert_eq!(status, 200, "{body}");
    for n in 0..50 {
        let body = json!({"n": n, "text": "words ".repeat(20)});
        let (status, body) = cluster.put(0, &format!("/i/_doc/{n}"), body).await;
        assert_eq!(status, 201, "{body}");
    }
    cluster.wait_for_status(0, "green").await;
    let (status, _) = cluster.post(0, "/i/_flush", Value::Null).await;
    assert_eq!(status, 200);
    let bad = largest(&data(&cluster, 1), "store");
    let mut content = std::fs::read(&bad).unwrap();
    content[20] ^= 1;
    // In place, as a disk does it.
    std::os::unix::fs::FileExt::write_all_at(
        &std::fs::File::options().write(true).open(&bad).unwrap(),
        &content,
        0,
    )
    .unwrap();
    until(async || (!bad.exists() || std::fs::read(&bad).ok()? != content).then_some(())).await;
    cluster.wait_for_status(0, "green").await;
    let (_, found) = cluster
        .get(1, "/i/_search?size=100&preference=_local")
        .await;
    assert_eq!(found["hits"]["total"]["value"], 50, "{found}");
    let right = |hit: &Value| hit["_source"]["text"] == "words ".repeat(20);
    assert!(found["hits"]["hits"].as_array().unwrap().iter().all(right));
    cluster.stop().await;
}

/// What is acknowledged is on the disk of every in-sync copy: at the moment of each answer both copies have noted a
/// sync that covers the operation (`synced.ckp`, written behind the `fdatasync`). A kill of a process would not show
/// it, for the system keeps what was written and not synced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_synced_on_every_copy() {
    let cluster = Cluster::start(2).await;
    let settings = json!({"settings": {"number_of_shards": 1, "number_of_replicas": 1}});
    let (status, body) = cluster.put(0, "/i", settings).await;
    assert_eq!(status, 200, "{body}");
    cluster.wait_for_status(0, "green").await;
    for n in 0..50 {
        let (status, body) = cluster
            .put(0, &format!("/i/_doc/{n}"), json!({"n": n}))
            .await;
        assert_eq!((status, &body["_shards"]["successful"]), (201, &json!(2)));
        let acknowledged = body["_seq_no"].as_i64().unwrap();
        let synced: Vec<i64> = (0..2)
            .flat_map(|node| synced(&data(&cluster, node)))
            .collect();
        assert_eq!(synced.len(), 2, "one copy on each node");
        assert!(
            synced.iter().all(|upto| *upto >= acknowledged),
            "[{acknowledged}] was acknowledged when the copies had synced up to {synced:?}"
        );
    }
    cluster.stop().await;
}

/// The highest sequence number that each copy below a data path has noted as synced; -1 for none. The layout is that of
/// `ringwall_index`'s `translog::mark`: two slots of 512 bytes behind the header, each with generation, nonce, length and
/// number, little-endian.
fn synced(data: &Path) -> Vec<i64> {
    files(data)
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name == "synced.ckp"))
        .map(|path| {
            let content = std::fs::read(path).unwrap();
            let number = |slot: usize, field: usize| {
                let place = &content[slot * 512 + field * 8..][..8];
                u64::from_le_bytes(place.try_into().unwrap())
            };
            let last = [1, 2]
                .into_iter()
                .max_by_key(|slot| (number(*slot, 0), number(*slot, 2)))
                .unwrap();
            match number(last, 0) {
                0 => -1,
                _ => number(last, 3).cast_signed(),
            }
        })
        .collect()
}

fn data(cluster: &Cluster, node: usize) -> PathBuf {
    cluster.config(node).parent().unwrap().join("data")
}

async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1200 {
        if let Some(found) = found().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited for a minute");
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => found.push(path),
            }
        }
    }
    found
}

fn largest(root: &Path, extension: &str) -> PathBuf {
    let length = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    files(root)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .max_by_key(length)
        .unwrap()
}

/// Of a directory in use: what goes away meanwhile is not copied.
fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        match std::fs::copy(&file, target) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.unwrap()),
        }
    }
}
