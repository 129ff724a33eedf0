<?php
// SimpleSAMLphp as the identity provider of one company. What differs between companies is in PEER_… variables.
$folder = getenv('PEER_FOLDER');
$base = getenv('PEER_BASE');
$config = [
    'baseurlpath' => "$base/",
    'certdir' => "$folder/",
    'loggingdir' => "$folder/",
    'datadir' => "$folder/",
    'tempdir' => "$folder/",
    'metadatadir' => __DIR__ . '/../metadata/',
    'attributenamemapdir' => '/etc/simplesamlphp/attributemap/',
    'metadata.sources' => [['type' => 'flatfile']],
    'timezone' => 'UTC',
    'secretsalt' => 'a-salt-for-loopback-only',
    'auth.adminpassword' => 'not-used-since-its-pages-are-off',
    'technicalcontact_name' => 'Peer',
    'technicalcontact_email' => 'peer@localhost.localdomain',
    'logging.handler' => 'file',
    'logging.level' => SimpleSAML\Logger::INFO,
    'logging.logfile' => 'simplesamlphp.log',
    'debug' => ['saml' => false, 'backtraces' => true, 'validatexml' => false],
    'showerrors' => true,
    'errorreporting' => false,
    'admin.checkforupdates' => false,
    'enable.saml20-idp' => true,
    'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true, 'admin' => false],
    'store.type' => 'phpsession',
    'session.phpsession.savepath' => $folder,
    'session.phpsession.cookiename' => 'SimpleSAML',
    'session.cookie.secure' => false,
    'session.cookie.samesite' => null,
    'language.default' => 'en',
    'language.available' => ['en'],
    'language.cookie.secure' => false,
    'language.cookie.samesite' => null,
    'theme.use' => 'default',
    'authproc.idp' => [],
    'authproc.sp' => [],
];
// Each service provider that this company knows is one file.
foreach (glob("$folder/*-sp.xml") as $file) {
    $config['metadata.sources'][] = ['type' => 'xml', 'file' => $file];
}
