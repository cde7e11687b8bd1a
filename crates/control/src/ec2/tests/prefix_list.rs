use super::Stack;
use crate::testing::element;

const NEW: &str = "PrefixListName=offices&MaxEntries=3&AddressFamily=IPv4&ClientToken=t&Entry.1.Cidr=203.0.113.9/24&Entry.1.Description=one";

fn list(stack: &Stack) -> String {
    let text = stack.ok("CreateManagedPrefixList", NEW);
    assert_eq!(element(&text, "state"), "create-in-progress");
    element(&text, "prefixListId").to_owned()
}

fn entries(stack: &Stack, id: &str, rest: &str) -> Vec<String> {
    let text = stack.ok("GetManagedPrefixListEntries", &format!("PrefixListId={id}{rest}"));
    text.split("<cidr>").skip(1).map(|part| part.split('<').next().unwrap().to_owned()).collect()
}

fn state(stack: &Stack, id: &str) -> String {
    let text = stack.ok("DescribeManagedPrefixLists", &format!("PrefixListId.1={id}"));
    element(&text, "state").to_owned()
}

#[test]
fn each_change_of_the_entries_is_a_version() {
    let stack = Stack::new();
    let id = list(&stack);
    assert_eq!(list(&stack), id, "the same token");
    assert_eq!(state(&stack, &id), "create-complete");
    assert_eq!(entries(&stack, &id, ""), ["203.0.113.0/24"]);
    let modify = |body: &str| stack.ok("ModifyManagedPrefixList", &format!("PrefixListId={id}&{body}"));
    let text = modify(
        "CurrentVersion=1&AddEntry.1.Cidr=198.51.100.0/24&RemoveEntry.1.Cidr=203.0.113.0/24&AddEntry.2.Cidr=203.0.113.0/24&AddEntry.2.Description=two",
    );
    assert_eq!((element(&text, "version"), element(&text, "state")), ("2", "modify-in-progress"));
    assert_eq!(entries(&stack, &id, ""), ["198.51.100.0/24", "203.0.113.0/24"]);
    assert_eq!(element(&modify("PrefixListName=other"), "version"), "2", "a name is no version");
    assert_eq!(element(&modify("MaxEntries=2"), "version"), "2", "a size is no version");
    let text = stack.ok(
        "RestoreManagedPrefixListVersion",
        &format!("PrefixListId={id}&PreviousVersion=1&CurrentVersion=2"),
    );
    assert_eq!(element(&text, "version"), "3");
    assert_eq!(state(&stack, &id), "restore-complete");
    assert_eq!(entries(&stack, &id, ""), ["203.0.113.0/24"]);
    assert_eq!(entries(&stack, &id, "&TargetVersion=2").len(), 2);
    stack.ok("DeleteManagedPrefixList", &format!("PrefixListId={id}"));
    stack.refused(
        "GetManagedPrefixListEntries",
        &format!("PrefixListId={id}"),
        "InvalidPrefixListID.NotFound",
        "",
    );
}

#[test]
fn what_aws_refuses_of_a_prefix_list_is_refused() {
    let stack = Stack::new();
    let id = list(&stack);
    let full = format!(
        "PrefixListId={id}&CurrentVersion=1&AddEntry.1.Cidr=1.0.0.0/8&AddEntry.2.Cidr=2.0.0.0/8&AddEntry.3.Cidr=3.0.0.0/8"
    );
    let check = |body: &str, code: &str, words: &str| {
        let body = body.replace('~', &format!("PrefixListId={id}"));
        stack.refused("ModifyManagedPrefixList", &body, code, words);
    };
    check(
        "~&CurrentVersion=2&AddEntry.1.Cidr=1.0.0.0/8",
        "PrefixListVersionMismatch",
        "The prefix list has the incorrect version number.",
    );
    check("~&AddEntry.1.Cidr=1.0.0.0/8", "MissingParameter", "CurrentVersion");
    check(
        "~&CurrentVersion=1&AddEntry.1.Cidr=1.0.0.0/8&MaxEntries=5",
        "InvalidParameterCombination",
        "You cannot modify the entries and the maximum entries for the prefix list in the same request.",
    );
    check(
        "~&CurrentVersion=1&AddEntry.1.Cidr=203.0.113.0/24&AddEntry.1.Description=one",
        "InvalidPrefixListModification",
        "An entry with the CIDR (203.0.113.0/24) and description (one) already exists.",
    );
    check("~&CurrentVersion=1&RemoveEntry.1.Cidr=1.0.0.0/8", "InvalidPrefixListModification", "(1.0.0.0/8)");
    check("~&CurrentVersion=1&AddEntry.1.Cidr=::/0", "InvalidParameterValue", "IPv4");
    check(&full, "PrefixListMaxEntriesExceeded", "");
    check(
        "PrefixListId=pl-1&PrefixListName=x",
        "InvalidPrefixListID.NotFound",
        "The prefix list (pl-1) does not exist.",
    );
    let create = |body: &str, code: &str| stack.refused("CreateManagedPrefixList", body, code, "");
    create("PrefixListName=com.amazonaws.x&MaxEntries=1&AddressFamily=IPv4", "InvalidParameterValue");
    create("PrefixListName=x&MaxEntries=0&AddressFamily=IPv4", "InvalidParameterValue");
    create("PrefixListName=x&MaxEntries=1&AddressFamily=IPv5", "InvalidParameterValue");
    create(&NEW.replace("one", "two"), "IdempotentParameterMismatch");
    let other = format!("PrefixListId={id}&PreviousVersion=7&CurrentVersion=1");
    stack.refused("RestoreManagedPrefixListVersion", &other, "PrefixListVersionNotFound", "(7)");
}

#[test]
fn awss_own_lists_are_there_and_stay_as_they_are() {
    let stack = Stack::new();
    let find = |name: &str| {
        let filter = format!("Filter.1.Name=prefix-list-name&Filter.1.Value.1={name}");
        let [services, managed] =
            ["DescribePrefixLists", "DescribeManagedPrefixLists"].map(|action| stack.ok(action, &filter));
        let id = element(&services, "prefixListId").to_owned();
        assert_eq!(element(&managed, "prefixListId"), id);
        assert!(!managed.contains("<version>") && !managed.contains("<maxEntries>"), "{managed}");
        id
    };
    let s3 = find("com.amazonaws.ap-northeast-2.s3");
    let dynamodb = find("com.amazonaws.ap-northeast-2.dynamodb");
    let cloudfront = find("com.amazonaws.global.cloudfront.origin-facing");
    assert_eq!(entries(&stack, &s3, ""), ["198.19.0.12/32"]);
    assert!(entries(&stack, &cloudfront, "").is_empty());
    let owned = stack.ok("DescribeManagedPrefixLists", "Filter.1.Name=owner-id&Filter.1.Value.1=AWS");
    assert_eq!(owned.matches("<prefixListId>").count(), 3);
    let body = format!("PrefixListId={s3}");
    stack.refused("DeleteManagedPrefixList", &body, "UnauthorizedOperation", "AWS-managed");
    let rule = |id: &str| {
        format!(
            "GroupId={{group}}&IpPermissions.1.IpProtocol=-1&IpPermissions.1.PrefixListIds.1.PrefixListId={id}"
        )
    };
    for id in [&s3, &dynamodb, &cloudfront] {
        stack.ok("AuthorizeSecurityGroupIngress", &rule(id));
    }
    // CloudFront's counts as 55 rules of 60.
    let sixth = "IpPermissions.2.IpProtocol=tcp&IpPermissions.2.FromPort=1&IpPermissions.2.ToPort=1";
    let ranges = |least: u8, most: u8| -> String {
        let range = |last| format!("&IpPermissions.2.IpRanges.{last}.CidrIp=1.2.3.{last}/32");
        (least..=most).map(range).collect()
    };
    let body = |ranges: String| {
        format!("GroupId={{group}}&{sixth}{ranges}").replace("IpPermissions.2", "IpPermissions.1")
    };
    stack.refused(
        "AuthorizeSecurityGroupIngress",
        &body(ranges(1, 4)),
        "RulesPerSecurityGroupLimitExceeded",
        "maximum number of rules",
    );
    stack.ok("AuthorizeSecurityGroupIngress", &body(ranges(1, 3)));
}

#[test]
fn a_list_counts_what_it_may_grow_to() {
    let stack = Stack::new();
    let new = "PrefixListName=big&MaxEntries=59&AddressFamily=IPv4&Entry.1.Cidr=1.0.0.0/8";
    let big = element(&stack.ok("CreateManagedPrefixList", new), "prefixListId").to_owned();
    let rule = |port: u16, peer: &str| {
        format!(
            "GroupId={{group}}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort={port}&IpPermissions.1.ToPort={port}&IpPermissions.1.{peer}"
        )
    };
    let by_list = format!("PrefixListIds.1.PrefixListId={big}");
    stack.ok("AuthorizeSecurityGroupIngress", &rule(80, &by_list));
    let full = "RulesPerSecurityGroupLimitExceeded";
    stack.refused("AuthorizeSecurityGroupIngress", &rule(81, &by_list), full, "maximum number of rules");
    stack.ok("AuthorizeSecurityGroupIngress", &rule(80, "IpRanges.1.CidrIp=1.2.3.4/32"));
    stack.refused("AuthorizeSecurityGroupIngress", &rule(81, "IpRanges.1.CidrIp=1.2.3.4/32"), full, "");
    stack.ok("AuthorizeSecurityGroupIngress", &rule(81, "Ipv6Ranges.1.CidrIpv6=::/0"));
    // It may not grow beyond what has room for it, and does not go while something names it.
    stack.ok("ModifyManagedPrefixList", &format!("PrefixListId={big}&MaxEntries=60"));
    let text = stack.ok("DescribeManagedPrefixLists", &format!("PrefixListId.1={big}"));
    assert_eq!((element(&text, "state"), element(&text, "maxEntries")), ("modify-failed", "59"));
    assert!(element(&text, "stateMessage").contains(&stack.group), "{text}");
    stack.ok("DeleteManagedPrefixList", &format!("PrefixListId={big}"));
    assert_eq!(state(&stack, &big), "delete-failed");
    let text = stack.ok("GetManagedPrefixListAssociations", &format!("PrefixListId={big}"));
    assert_eq!(element(&text, "resourceId"), stack.group);
    let shown = stack.ok("DescribeSecurityGroupRules", "Filter.1.Name=group-id&Filter.1.Value.1={group}");
    assert_eq!(element(&shown, "prefixListId"), big);
    stack.ok("RevokeSecurityGroupIngress", &rule(80, &by_list));
    stack.ok("DeleteManagedPrefixList", &format!("PrefixListId={big}"));
}
