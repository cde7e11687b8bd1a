use super::Stack;
use crate::testing::element;

/// A network ACL of the stack's VPC.
fn acl(stack: &Stack) -> String {
    element(&stack.ok("CreateNetworkAcl", "VpcId={vpc}&ClientToken=t"), "networkAclId").to_owned()
}

/// The description of one ACL.
fn described(stack: &Stack, acl: &str) -> String {
    stack.ok("DescribeNetworkAcls", &format!("NetworkAclId.1={acl}"))
}

const ALL: &str = "Protocol=-1&RuleAction=allow&CidrBlock=0.0.0.0/0";

#[test]
fn a_new_acl_denies_all_and_its_entries_are_shown_by_number() {
    let stack = Stack::new();
    let acl = acl(&stack);
    let text = described(&stack, &acl);
    assert_eq!(text.matches("<ruleNumber>32767</ruleNumber>").count(), 2, "{text}");
    assert_eq!(text.matches("<ruleNumber>").count(), 2, "{text}");
    assert_eq!(text.matches("<ruleAction>deny</ruleAction>").count(), 2, "{text}");
    for (number, entry) in [
        (300, "Protocol=tcp&RuleAction=deny&CidrBlock=10.194.0.77/24&PortRange.From=1024&PortRange.To=65535"),
        (100, "Protocol=1&RuleAction=allow&CidrBlock=0.0.0.0/0&Icmp.Type=8&Icmp.Code=-1"),
        (200, "Protocol=-1&RuleAction=allow&Ipv6CidrBlock=::/0&PortRange.From=0&PortRange.To=0"),
    ] {
        stack.ok(
            "CreateNetworkAclEntry",
            &format!("NetworkAclId={acl}&RuleNumber={number}&Egress=false&{entry}"),
        );
    }
    let text = described(&stack, &acl);
    let entries = &text[text.rfind("<egress>true</egress>").unwrap()..];
    let entries = &entries[entries.find("<item>").unwrap()..entries.find("</entrySet>").unwrap()];
    expect_test::expect![[r"
        <item><ruleNumber>100</ruleNumber><protocol>1</protocol><ruleAction>allow</ruleAction><egress>false</egress><cidrBlock>0.0.0.0/0</cidrBlock><icmpTypeCode><type>8</type><code>-1</code></icmpTypeCode></item>
        <item><ruleNumber>200</ruleNumber><protocol>-1</protocol><ruleAction>allow</ruleAction><egress>false</egress><ipv6CidrBlock>::/0</ipv6CidrBlock></item>
        <item><ruleNumber>300</ruleNumber><protocol>6</protocol><ruleAction>deny</ruleAction><egress>false</egress><cidrBlock>10.194.0.0/24</cidrBlock><portRange><from>1024</from><to>65535</to></portRange></item>
        <item><ruleNumber>32767</ruleNumber><protocol>-1</protocol><ruleAction>deny</ruleAction><egress>false</egress><cidrBlock>0.0.0.0/0</cidrBlock></item>"]]
    .assert_eq(&entries.replace("</item><item>", "</item>\n<item>"));
    stack.ok("ReplaceNetworkAclEntry", &format!("NetworkAclId={acl}&RuleNumber=300&Egress=false&{ALL}"));
    assert!(!described(&stack, &acl).contains("<portRange>"));
    stack.ok("DeleteNetworkAclEntry", &format!("NetworkAclId={acl}&RuleNumber=300&Egress=false"));
    assert!(!described(&stack, &acl).contains("<ruleNumber>300<"));
}

#[test]
fn a_network_acl_is_found_by_what_its_entries_say() {
    let stack = Stack::new();
    let acl = acl(&stack);
    let entry = "Protocol=17&RuleAction=deny&CidrBlock=192.0.2.0/24&PortRange.From=53&PortRange.To=54";
    stack.ok("CreateNetworkAclEntry", &format!("NetworkAclId={acl}&RuleNumber=9&Egress=true&{entry}"));
    let v6 = "Protocol=58&RuleAction=allow&Ipv6CidrBlock=fd00::/8&Icmp.Type=128&Icmp.Code=0";
    stack.ok("CreateNetworkAclEntry", &format!("NetworkAclId={acl}&RuleNumber=10&Egress=true&{v6}"));
    for (name, value, found) in [
        ("default", "false", true),
        ("default", "true", false),
        ("entry.cidr", "192.0.2.0/24", true),
        ("entry.cidr", "192.0.3.0/24", false),
        ("entry.ipv6-cidr", "fd00::/8", true),
        ("entry.icmp.type", "128", true),
        ("entry.icmp.code", "1", false),
        ("entry.port-range.from", "53", true),
        ("entry.port-range.to", "53", false),
        ("entry.protocol", "17", true),
        ("entry.rule-action", "allow", true),
        ("entry.rule-number", "9", true),
        ("network-acl-id", acl.as_str(), true),
        ("owner-id", "000000000001", true),
        ("vpc-id", "{vpc}", true),
        ("vpc-id", "vpc-1", false),
        ("association.subnet-id", "{subnet}", false),
    ] {
        let body = format!("Filter.1.Name={name}&Filter.1.Value.1={value}");
        let text = stack.ok("DescribeNetworkAcls", &body);
        assert_eq!(text.contains(&format!("<networkAclId>{acl}</networkAclId>")), found, "{body}: {text}");
    }
}

#[test]
fn a_subnet_has_one_acl_at_a_time() {
    let stack = Stack::new();
    let acl = acl(&stack);
    let of_subnet = "Filter.1.Name=association.subnet-id&Filter.1.Value.1={subnet}";
    let before = stack.ok("DescribeNetworkAcls", of_subnet);
    assert_eq!(element(&before, "default"), "true");
    let (default, association) =
        (element(&before, "networkAclId"), element(&before, "networkAclAssociationId"));
    let body = format!("AssociationId={association}&NetworkAclId={acl}");
    let text = stack.ok("ReplaceNetworkAclAssociation", &body);
    let new = element(&text, "newAssociationId");
    assert_ne!(new, association);
    let after = stack.ok("DescribeNetworkAcls", of_subnet);
    assert_eq!(element(&after, "networkAclId"), acl);
    assert_eq!(element(&after, "networkAclAssociationId"), new);
    stack.refused("ReplaceNetworkAclAssociation", &body, "InvalidAssociationID.NotFound", association);
    stack.refused(
        "DeleteNetworkAcl",
        &format!("NetworkAclId={acl}"),
        "DependencyViolation",
        &format!("The networkAcl '{acl}' has dependencies and cannot be deleted."),
    );
    stack.refused("DeleteVpc", "VpcId={vpc}", "DependencyViolation", "The vpc '{vpc}'");
    stack.ok("ReplaceNetworkAclAssociation", &format!("AssociationId={new}&NetworkAclId={default}"));
    stack.ok("DeleteNetworkAcl", &format!("NetworkAclId={acl}"));
    let (id, words) = (format!("NetworkAclId.1={acl}"), format!("The networkAcl ID '{acl}' does not exist"));
    stack.refused("DescribeNetworkAcls", &id, "InvalidNetworkAclID.NotFound", &words);
}

#[test]
fn what_aws_refuses_of_a_network_acl_is_refused_in_its_words() {
    let stack = Stack::new();
    let acl = acl(&stack);
    let other = element(&stack.ok("CreateVpc", "CidrBlock=10.195.0.0/16"), "vpcId").to_owned();
    let other_acl = stack.ok("CreateNetworkAcl", &format!("VpcId={other}"));
    let other_acl = element(&other_acl, "networkAclId");
    let default =
        stack.ok("DescribeNetworkAcls", "Filter.1.Name=association.subnet-id&Filter.1.Value.1={subnet}");
    let association = element(&default, "networkAclAssociationId");
    let default = element(&default, "networkAclId");
    stack.ok("CreateNetworkAclEntry", &format!("NetworkAclId={acl}&RuleNumber=100&Egress=false&{ALL}"));
    let entry =
        |number: i32, rest: &str| format!("NetworkAclId={acl}&RuleNumber={number}&Egress=false&{rest}");
    let tcp = |ports: &str| entry(1, &format!("Protocol=6&RuleAction=allow&CidrBlock=0.0.0.0/0{ports}"));
    let cases = [
        ("CreateNetworkAcl", "VpcId=vpc-1".to_owned(), "InvalidVpcID.NotFound", "'vpc-1' does not exist"),
        (
            "CreateNetworkAcl",
            format!("VpcId={other}&ClientToken=t"),
            "IdempotentParameterMismatch",
            "different parameters",
        ),
        (
            "DeleteNetworkAcl",
            format!("NetworkAclId={default}"),
            "InvalidParameterValue",
            "cannot delete default network ACL acl-",
        ),
        (
            "CreateNetworkAclEntry",
            entry(100, ALL),
            "NetworkAclEntryAlreadyExists",
            "The network acl entry identified by 100 already exists.",
        ),
        ("CreateNetworkAclEntry", entry(0, ALL), "InvalidParameterValue", "(0) for parameter ruleNumber"),
        ("CreateNetworkAclEntry", entry(32_767, ALL), "InvalidParameterValue", "between 1 and 32766"),
        (
            "ReplaceNetworkAclEntry",
            entry(101, ALL),
            "InvalidNetworkAclEntry.NotFound",
            "no ingress entry with number 101",
        ),
        (
            "DeleteNetworkAclEntry",
            format!("NetworkAclId={acl}&RuleNumber=100&Egress=true"),
            "InvalidNetworkAclEntry.NotFound",
            "no egress entry with number 100",
        ),
        (
            "DeleteNetworkAclEntry",
            format!("NetworkAclId={acl}&RuleNumber=32767&Egress=true"),
            "InvalidParameterValue",
            "(32767) for parameter ruleNumber",
        ),
        (
            "CreateNetworkAclEntry",
            entry(1, "Protocol=300&RuleAction=allow&CidrBlock=0.0.0.0/0"),
            "InvalidParameterValue",
            "(300) for parameter protocol",
        ),
        (
            "CreateNetworkAclEntry",
            entry(1, "Protocol=-1&RuleAction=maybe&CidrBlock=0.0.0.0/0"),
            "InvalidParameterValue",
            "(maybe) for parameter ruleAction",
        ),
        ("CreateNetworkAclEntry", entry(1, "Protocol=-1&RuleAction=allow"), "MissingParameter", "cidrBlock"),
        (
            "CreateNetworkAclEntry",
            entry(1, &format!("{ALL}&Ipv6CidrBlock=::/0")),
            "InvalidParameterCombination",
            "Only one of",
        ),
        ("CreateNetworkAclEntry", tcp(""), "MissingParameter", "portRange"),
        ("CreateNetworkAclEntry", tcp("&PortRange.From=1"), "MissingParameter", "portRange.to"),
        ("CreateNetworkAclEntry", tcp("&PortRange.From=2&PortRange.To=1"), "InvalidParameterValue", "2-1"),
        (
            "CreateNetworkAclEntry",
            tcp("&PortRange.From=1&PortRange.To=65536"),
            "InvalidParameterValue",
            "1-65536",
        ),
        (
            "CreateNetworkAclEntry",
            entry(1, "Protocol=1&RuleAction=allow&CidrBlock=0.0.0.0/0"),
            "MissingParameter",
            "icmpTypeCode",
        ),
        (
            "CreateNetworkAclEntry",
            entry(1, "Protocol=1&RuleAction=allow&CidrBlock=0.0.0.0/0&Icmp.Type=256&Icmp.Code=0"),
            "InvalidParameterValue",
            "256/0",
        ),
        (
            "ReplaceNetworkAclAssociation",
            format!("AssociationId={association}&NetworkAclId={other_acl}"),
            "InvalidParameterValue",
            "belong to different networks",
        ),
        (
            "ReplaceNetworkAclAssociation",
            format!("AssociationId={association}&NetworkAclId={acl}&DryRun=true"),
            "DryRunOperation",
            "would have succeeded",
        ),
    ];
    for (action, body, code, words) in cases {
        stack.refused(action, &body, code, words);
    }
}

#[test]
fn an_acl_takes_twenty_rules_a_direction_with_the_last_one() {
    let stack = Stack::new();
    let acl = acl(&stack);
    let v6 = "Protocol=-1&RuleAction=allow&Ipv6CidrBlock=::/0";
    let entry = |number: i32, egress: bool, rest: &str| {
        format!("NetworkAclId={acl}&RuleNumber={number}&Egress={egress}&{rest}")
    };
    for number in 1..=19 {
        stack.ok("CreateNetworkAclEntry", &entry(number, false, ALL));
        stack.ok("CreateNetworkAclEntry", &entry(100 + number, false, v6));
    }
    for body in [entry(20, false, ALL), entry(120, false, v6)] {
        stack.refused("CreateNetworkAclEntry", &body, "NetworkAclEntryLimitExceeded", "maximum number");
    }
    stack.ok("CreateNetworkAclEntry", &entry(20, true, ALL));
}
