DROP INDEX `message_account`;--> statement-breakpoint
ALTER TABLE `message` ADD `number` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `message_account` ON `message` (`account`,`number`);--> statement-breakpoint
ALTER TABLE `account` ADD `archived` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `account` ADD `archived_size` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `account` ADD `counted_to` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `account` ADD `archive_last` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `account` ADD `purged` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `account` ADD `marked` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `account` ADD `marked_at` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `created` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `request` text;--> statement-breakpoint
ALTER TABLE `folder` ADD `messages` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `unseen` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `unread` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `deleted` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `size` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `uidnext` integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE `folder` ADD `highest` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE UNIQUE INDEX `folder_role` ON `folder` (`account`,`role`) WHERE "folder"."role" is not null;--> statement-breakpoint
ALTER TABLE `placement` ADD `request` text;--> statement-breakpoint
ALTER TABLE `placement` ADD `went` integer;--> statement-breakpoint
CREATE INDEX `placement_live` ON `placement` (`id`) WHERE "placement"."gone" is null;