//! From the bytes of an answer to values, within a stated amount of memory.
use crate::base::values::{Budget, read};
use serde_json::Value;

/// Longest answer to most questions and to every change, in bytes.
pub(super) const ORDINARY: usize = 4 << 20;
/// Longest answer to the few questions about everything there is: guests of a cluster, volumes of a storage, rights. Five
/// thousand guests are some 3 MiB.
pub(super) const LARGE: usize = 16 << 20;
/// The memory that the values of one answer may take, in bytes: some fifteen thousand guests.
const MEMORY: usize = 48 << 20;

/// `data` of an answer. Never quotes the body: it may hold a secret.
pub(super) fn data(body: &str) -> Result<Value, String> {
    match value(body, MEMORY) {
        Ok(Value::Object(mut answer)) => answer.remove("data").ok_or_else(|| "it has no `data`".to_string()),
        Ok(_) => Err("it is no object".to_string()),
        Err(e) => Err(e.to_string()),
    }
}

fn value(body: &str, memory: usize) -> serde_json::Result<Value> {
    read(body, &Budget::new(memory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_an_object_with_data_is_an_answer() {
        assert_eq!(data("{\"data\":null}"), Ok(Value::Null));
        for wrong in ["", "{\"data\":", "[]", "{}", "<html>", "{\"data\":1} x"] {
            assert!(data(wrong).is_err(), "{wrong}");
        }
    }

    /// harm.md S8: reading stops at the limit, whatever comes behind it.
    #[test]
    fn values_that_take_more_memory_than_an_answer_may_are_not_made() {
        for item in ["{\"a\":0},", "[],", "{},", "\"\",", "0,", "[[[[[]]]]],"] {
            let mut body = String::from("{\"data\":[");
            body.push_str(&item.repeat((31 << 20) / item.len()));
            body.push_str("0]}");
            if !item.starts_with("{\"a") {
                // Cheap ones fit into less text; what counts is that the bound is kept.
                assert!(value(&body, 8 << 20).is_err(), "{item}");
                continue;
            }
            let error = data(&body).unwrap_err();
            assert!(error.contains("far more values"), "{error}");
            let column: usize = error.rsplit("column ").next().unwrap().parse().unwrap();
            assert!(column < 1 << 20, "read on to {column}");
        }
    }

    #[test]
    fn the_guests_of_a_large_cluster_fit() {
        let row = r#"{"id":"qemu/100","vmid":100,"node":"pve1","type":"qemu","name":"some-longer-name-of-a-guest","status":"running","template":0,"tags":"a;b;c","maxcpu":8,"maxmem":25769803776,"maxdisk":53687091200,"cpu":0.0312,"mem":12884901888,"disk":0,"diskread":123456789,"diskwrite":123456789,"netin":123456789,"netout":123456789,"uptime":1234567,"pool":"production"},"#;
        let body = format!("{{\"data\":[{}0]}}", row.repeat(8000));
        assert!(body.len() < LARGE);
        assert!(data(&body).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_reads(text in ".*", n in any::<f64>(), i in any::<i64>()) {
            let json = serde_json::json!({"data": {"a": [text, n, i, null, true, {"b": {}}]}}).to_string();
            let plain: Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&data(&json).unwrap(), &plain["data"]);
        }
    }
}
