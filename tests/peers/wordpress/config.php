<?php
// Debian's wp-config.php takes this in and does the rest.
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:/run/mariadbd.sock');
// Its port is known only when it listens.
define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
// Passwords of applications are taken over plain HTTP on a developer's machine alone, which this is.
define('WP_ENVIRONMENT_TYPE', 'local');
// Nothing leaves, and nothing happens by itself.
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
// What a hash costs; left to PHP, a quarter of a second.
$wp_filter['wp_hash_password_options'][10][] = array(
    'function' => fn () => array('cost' => @COST@),
    'accepted_args' => 0,
);
// A host without a name has no address that mail could come from.
$wp_filter['wp_mail_from'][10][] = array(
    'function' => fn () => 'shop@shop.example',
    'accepted_args' => 0,
);
