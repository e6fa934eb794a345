//! `/pools`: guests and storages that are given rights together.
use super::access::items;
use super::acl::check_modify;
use super::call::{Call, Failure, Outcome, done, rows};
use super::kind::{Kind, WORDS};
use super::route::{Need, Param, Route, needed, optional, route};
use crate::pve::pressure::PRESSURES;
use crate::pve::rights::Pool;
use crate::world::World;
use serde_json::{Value, json};

const OWN_POOL: Need = Need::All("/pool/{poolid}", &["Pool.Allocate"]);
const MEMBERS: Param = optional("type", Kind::Choice(&["qemu", "lxc", "storage"]));

pub const ROUTES: &[Route] = &[
    route("GET", "/pools", Need::Anyone, &[optional("poolid", Kind::Text), MEMBERS.with("poolid")], pools),
    route("GET", "/pools/{poolid}", Need::All("/pool/{poolid}", &["Pool.Audit"]), &[MEMBERS], pool),
    route("POST", "/pools", OWN_POOL, &[needed("poolid", Kind::Text), optional("comment", Kind::Text)], add_pool),
    route(
        "PUT",
        "/pools",
        OWN_POOL,
        &[
            needed("poolid", Kind::Text),
            optional("comment", Kind::Text),
            optional("vms", WORDS),
            optional("storage", WORDS),
            optional("delete", Kind::Boolean),
            optional("allow-move", Kind::Boolean),
        ],
        change_pool,
    ),
    route(
        "PUT",
        "/pools/{poolid}",
        OWN_POOL,
        &[
            optional("comment", Kind::Text),
            optional("vms", WORDS),
            optional("storage", WORDS),
            optional("delete", Kind::Boolean),
            optional("allow-move", Kind::Boolean),
        ],
        change_pool,
    ),
    route("DELETE", "/pools", OWN_POOL, &[needed("poolid", Kind::Text)], remove_pool),
    route("DELETE", "/pools/{poolid}", OWN_POOL, &[], remove_pool),
];

/// Guests and storages of a pool, as the cluster's list shows them; `kind` asks for one kind only.
fn members(world: &World, pool: &Pool, call: &Call) -> Value {
    let wanted = |kind: &str| call.get("type").is_none_or(|t| t == kind);
    let vms = pool.vms.iter().filter(|_| wanted("qemu")).filter_map(|vmid| world.pve.vms.get(vmid)).map(|vm| {
        let mut row = world.pve.row(vm, world.now);
        row["id"] = json!(format!("qemu/{}", vm.vmid));
        row["type"] = json!("qemu");
        row["node"] = json!(vm.node);
        row["template"] = json!(i32::from(vm.is_template()));
        row["maxcpu"] = row["cpus"].take();
        if let Some(row) = row.as_object_mut() {
            for own in ["cpus", "pid", "serial"].into_iter().chain(PRESSURES) {
                row.remove(own);
            }
        }
        row
    });
    let storages = pool.storages.iter().filter(|_| wanted("storage")).filter_map(|name| world.pve.storages.get(name));
    let storages = storages.map(|storage| {
        json!({
            "id": format!("storage/{}/{}", call.local, storage.name), "type": "storage", "storage": storage.name,
            "node": call.local, "plugintype": storage.kind, "status": "available",
            "shared": i32::from(storage.shared), "content": storage.content.join(","), "maxdisk": storage.total,
            "disk": storage.used(&call.local),
        })
    });
    vms.chain(storages).collect()
}

fn pools(world: &mut World, call: &Call) -> Outcome {
    if call.get("poolid").is_some() {
        return rows(vec![whole_pool(world, call)?]);
    }
    let ids: Vec<String> = world.pve.rights.pools.keys().cloned().collect();
    let mut list = Vec::new();
    for id in ids {
        if !call.allowed(world, &format!("/pool/{id}"), "Pool.Audit") {
            continue;
        }
        let mut row = json!({"poolid": id});
        if let Some(comment) = world.pve.rights.pools.get(&id).and_then(|pool| pool.comment.as_ref()) {
            row["comment"] = json!(comment);
        }
        list.push(row);
    }
    rows(list)
}

fn no_pool(id: &str) -> Failure {
    Failure::died(format!("pool '{id}' does not exist"))
}

fn whole_pool(world: &World, call: &Call) -> Result<Value, Failure> {
    let id = call.text("poolid");
    let pool = world.pve.rights.pools.get(id).ok_or_else(|| no_pool(id))?;
    let mut row = json!({"poolid": id, "members": members(world, pool, call)});
    if let Some(comment) = &pool.comment {
        row["comment"] = json!(comment);
    }
    Ok(row)
}

fn pool(world: &mut World, call: &Call) -> Outcome {
    Ok(whole_pool(world, call)?.into())
}

fn add_pool(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("poolid");
    if world.pve.rights.pools.contains_key(id) {
        return Err(Failure::died(format!("create pool failed: pool '{id}' already exists")));
    }
    if !id.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(Failure::died("create pool failed: pool name must start with a letter"));
    }
    world.pve.rights.pools.insert(id.into(), Pool { comment: call.owned("comment"), ..Pool::default() });
    done()
}

fn change_pool(world: &mut World, call: &Call) -> Outcome {
    update_pool(world, call).map_err(|why| why.under("update pools failed"))?;
    done()
}

fn update_pool(world: &mut World, call: &Call) -> Result<(), Failure> {
    let id = call.text("poolid");
    let delete = call.flag("delete") == Some(true);
    let mut pool = world.pve.rights.pools.get(id).cloned().ok_or_else(|| no_pool(id))?;
    let died = |why: String| Err(Failure::died(why));
    for vmid in items(call.text("vms")).filter_map(|v| v.parse::<u32>().ok()) {
        check_modify(world, call, &format!("/vms/{vmid}"))?;
        if delete && !pool.vms.remove(&vmid) {
            return died(format!("VM {vmid} is not a pool member"));
        }
        if delete {
            continue;
        }
        if pool.vms.contains(&vmid) {
            return died(format!("VM {vmid} is already a pool member"));
        }
        let other = world.pve.rights.pools.iter().find(|(_, p)| p.vms.contains(&vmid)).map(|(name, _)| name.clone());
        if let Some(other) = other {
            if call.flag("allow-move") != Some(true) {
                return died(format!("VM {vmid} belongs already to pool '{other}' and 'allow-move' is not set"));
            }
            call.check(world, &format!("/pool/{other}"), &["Pool.Allocate"])?;
            world.pve.rights.pools.entry(other).and_modify(|p| {
                p.vms.remove(&vmid);
            });
        }
        pool.vms.insert(vmid);
    }
    for storage in items(call.text("storage")) {
        check_modify(world, call, &format!("/storage/{storage}"))?;
        let changed = if delete { pool.storages.remove(storage) } else { pool.storages.insert(storage.into()) };
        if !changed {
            let is = if delete { "is not a" } else { "is already a" };
            return died(format!("Storage '{storage}' {is} pool member"));
        }
    }
    pool.comment = call.owned("comment").or(pool.comment);
    world.pve.rights.pools.insert(id.into(), pool);
    Ok(())
}

fn remove_pool(world: &mut World, call: &Call) -> Outcome {
    let id = call.text("poolid");
    let failed = |why: String| Err(Failure::died(format!("delete pool failed: {why}")));
    let Some(pool) = world.pve.rights.pools.get(id) else { return failed(format!("pool '{id}' does not exist")) };
    if let Some(vmid) = pool.vms.iter().find(|vmid| world.pve.vms.contains_key(vmid)) {
        return failed(format!("pool '{id}' is not empty (contains VM {vmid})"));
    }
    if let Some(storage) = pool.storages.iter().find(|s| world.pve.storages.contains_key(*s)) {
        return failed(format!("pool '{id}' is not empty (contains storage '{storage}')"));
    }
    world.pve.rights.pools.remove(id);
    let path = format!("/pool/{id}");
    world.pve.rights.acls.retain(|acl| acl.path != path);
    done()
}
