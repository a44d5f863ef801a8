<?php
// Makes the tables and the first user, or brings the tables of an older
// version up to date. It may be run again.
define('WP_INSTALLING', true);
function wp_new_blog_notification() {} // nobody delivers mail here
require '{{ site }}/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
if (is_blog_installed()) {
	wp_upgrade();
	update_option('blogname', getenv('TITLE'));
	update_option('admin_email', getenv('EMAIL'));
} else {
	wp_install(getenv('TITLE'), 'admin', getenv('EMAIL'), true, '', getenv('PASSWORD'));
}
if (!is_blog_installed()) {
	fwrite(STDERR, "WordPress did not install itself\n");
	exit(1);
}
