<?php
define('DB_NAME', '{{ database }}');
define('DB_USER', '{{ user }}');
define('DB_PASSWORD', '{{ password }}');
define('DB_HOST', '{{ host }}');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');
{{ keys }}
define('WP_HOME', '{{ url }}');
define('WP_SITEURL', '{{ url }}');
define('WP_CONTENT_DIR', '{{ home }}/content');
define('AUTOMATIC_UPDATER_DISABLED', true);
define('FS_METHOD', 'direct');
if (isset($_SERVER['HTTP_X_FORWARDED_PROTO']) && $_SERVER['HTTP_X_FORWARDED_PROTO'] === 'https') {
	$_SERVER['HTTPS'] = 'on';
}
$table_prefix = 'wp_';
if (!defined('ABSPATH')) {
	define('ABSPATH', '{{ site }}/');
}
require_once ABSPATH . 'wp-settings.php';
