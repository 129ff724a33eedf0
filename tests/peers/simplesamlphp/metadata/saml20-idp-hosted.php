<?php
const FORMATS = [
    'persistent' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    'transient' => 'urn:oasis:names:tc:SAML:2.0:nameid-format:transient',
    'email' => 'urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress',
];
const NAME_IDS = [
    'persistent' => [1 => ['class' => 'saml:PersistentNameID', 'attribute' => 'uid']],
    'transient' => [],
    'email' => [1 => ['class' => 'saml:AttributeNameID', 'attribute' => 'mail', 'Format' => FORMATS['email']]],
];
$metadata[getenv('PEER_BASE') . '/idp'] = [
    'host' => '__DEFAULT__',
    'privatekey' => 'signing.key',
    'certificate' => 'signing.crt',
    'auth' => 'people',
    'NameIDFormat' => FORMATS[getenv('PEER_NAME_ID')],
    'attributes.NameFormat' => 'urn:oasis:names:tc:SAML:2.0:attrname-format:uri',
    'signature.algorithm' => getenv('PEER_SIGNATURE_ALGORITHM'),
    'assertion.encryption' => getenv('PEER_ENCRYPTED') === '1',
    'validate.authnrequest' => true,
    'authproc' => NAME_IDS[getenv('PEER_NAME_ID')] + [100 => ['class' => 'core:AttributeMap', 'name2oid']],
];
