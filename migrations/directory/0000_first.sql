CREATE TABLE `address` (
	`domain` integer NOT NULL,
	`local` text NOT NULL,
	`mailbox` integer NOT NULL,
	PRIMARY KEY(`domain`, `local`, `mailbox`),
	FOREIGN KEY (`mailbox`) REFERENCES `mailbox`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `address_mailbox` ON `address` (`mailbox`);--> statement-breakpoint
CREATE TABLE `credential` (
	`id` integer PRIMARY KEY NOT NULL,
	`role` integer,
	`mailbox` integer,
	`kind` text NOT NULL,
	`hash` text NOT NULL,
	`label` text,
	`created_at` integer NOT NULL,
	`used_at` integer,
	FOREIGN KEY (`role`) REFERENCES `role`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`mailbox`) REFERENCES `mailbox`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `credential_mailbox` ON `credential` (`mailbox`);--> statement-breakpoint
CREATE INDEX `credential_role` ON `credential` (`role`);--> statement-breakpoint
CREATE TABLE `customer` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `domain` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`customer` integer,
	`continuity` integer DEFAULT false NOT NULL,
	`coverage` text DEFAULT 'all' NOT NULL,
	`switching` text DEFAULT 'manual' NOT NULL,
	`mode` text DEFAULT 'normal' NOT NULL,
	`mode_since` integer DEFAULT 0 NOT NULL,
	`settings` text DEFAULT '{}' NOT NULL,
	`route` text,
	`route_encrypted` text,
	`key_id` text,
	`version` integer DEFAULT 1 NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`customer`) REFERENCES `customer`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `domain_name_unique` ON `domain` (`name`);--> statement-breakpoint
CREATE TABLE `mailbox` (
	`id` integer PRIMARY KEY NOT NULL,
	`domain` integer NOT NULL,
	`address` text NOT NULL,
	`covered` integer DEFAULT true NOT NULL,
	`shard` integer DEFAULT 0 NOT NULL,
	`password` text,
	`alternate` text,
	`disabled` integer DEFAULT false NOT NULL,
	`created_at` integer NOT NULL,
	FOREIGN KEY (`domain`) REFERENCES `domain`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `mailbox_address_unique` ON `mailbox` (`address`);--> statement-breakpoint
CREATE INDEX `mailbox_domain` ON `mailbox` (`domain`,`address`);--> statement-breakpoint
CREATE TABLE `role` (
	`id` integer PRIMARY KEY NOT NULL,
	`email` text NOT NULL,
	`kind` text NOT NULL,
	`customer` integer,
	FOREIGN KEY (`customer`) REFERENCES `customer`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `role_email_unique` ON `role` (`email`);--> statement-breakpoint
CREATE TABLE `session` (
	`hash` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`name` text NOT NULL,
	`mailbox` integer,
	`customer` integer,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	FOREIGN KEY (`mailbox`) REFERENCES `mailbox`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`customer`) REFERENCES `customer`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `session_expires` ON `session` (`expires_at`);